import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { believer } from '../../src/fleet/belief.ts';
import { questionNear } from '../../src/fleet/question.ts';
import { FLEET_EPSILON } from '../../src/fleet/randomised-bit.ts';
import { type FleetPlace, MIN_VOTES, Tally, VOTE_HALF_LIFE_MS } from '../../src/fleet/tally.ts';

const PHONE: FleetPlace = { model: 'm', provider: 'wasm', deviceClass: 'phone-2-small' };
const COMPUTER: FleetPlace = { ...PHONE, deviceClass: 'computer-4-large' };
const tally = () => new Tally(believer(FLEET_EPSILON));

function filled(votes: number, place = PHONE): Tally {
  const made = tally();
  for (let index = 0; index < votes; index += 1) made.add(place, questionNear(2), index % 8 > 0, 0);
  return made;
}

describe('a tally', () => {
  it('says nothing before enough answers came about a package', () => {
    expect(filled(MIN_VOTES - 1).look(PHONE, 0).isKnown).toBe(false);
    expect(filled(MIN_VOTES).look(PHONE, 0).isKnown).toBe(true);
    expect(filled(MIN_VOTES).look({ ...PHONE, model: 'other' }, 0).isKnown).toBe(false);
    expect(filled(MIN_VOTES).look({ ...PHONE, provider: 'webgpu' }, 0).isKnown).toBe(false);
  });

  it('takes a class without answers for like the others, and is less sure of it', () => {
    const made = filled(200);
    const [own, other] = [made.look(PHONE, 0).belief, made.look(COMPUTER, 0).belief];
    expect(own.median).toBeGreaterThan(1.5);
    expect(other.median).toBeGreaterThan(1);
    expect(other.doubt).toBeGreaterThan(own.doubt);
  });

  it('forgets: after some half-lives new answers outweigh old ones', () => {
    const made = filled(200);
    const later = 4 * VOTE_HALF_LIFE_MS;
    expect(made.look(PHONE, later).isKnown).toBe(false);
    for (let index = 0; index < 60; index += 1) made.add(PHONE, questionNear(-2), index % 8 === 0, later);
    expect(made.look(PHONE, later).belief.median).toBeLessThan(0);
  });

  it('does not grow by a clock that was set back', () => {
    const made = filled(MIN_VOTES - 1);
    expect(made.look(PHONE, -VOTE_HALF_LIFE_MS).isKnown).toBe(false);
  });

  it('comes back from what it stores', () => {
    const made = filled(50);
    const back = tally();
    back.restore(JSON.parse(JSON.stringify(made.store())), (model) => model === 'm');
    expect(back.store()).toEqual(made.store());
    const none = tally();
    none.restore(made.store(), () => false);
    expect(none.store()).toEqual([]);
  });

  it('takes nothing from a file that has not its form', () => {
    const [good] = filled(1).store();
    const bad = fc.oneof(
      fc.jsonValue(),
      fc.record({
        model: fc.constant('m'),
        provider: fc.constantFrom('wasm', 'cpu'),
        deviceClass: fc.constantFrom('phone-2-small', 'phone-3-small', '__proto__'),
        at: fc.oneof(fc.double(), fc.constant(null)),
        votes: fc.array(fc.tuple(fc.double(), fc.double())),
      }),
    );
    fc.assert(
      fc.property(fc.array(bad), (cells) => {
        const made = tally();
        made.restore([...cells, good], () => true);
        expect(made.store()).toEqual([good]);
        expect(Number.isFinite(made.look(PHONE, 0).belief.median)).toBe(true);
      }),
    );
  });
});
