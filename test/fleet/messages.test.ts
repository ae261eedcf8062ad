import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIsthmusError } from '../../src/errors.ts';
import { FLEET_CLASSES, fleetClass } from '../../src/fleet/device-class.ts';
import {
  FLEET_VERSION,
  type FleetReport,
  fleetPath,
  parseAnswer,
  parseFleetPath,
  parseReport,
} from '../../src/fleet/messages.ts';
import { MAX_OCTAVES, QUESTIONS } from '../../src/fleet/question.ts';

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const REPORT: FleetReport = { version: FLEET_VERSION, question: 3, slower: true };

function refuses(read: () => unknown): void {
  let thrown: unknown;
  try {
    read();
  } catch (error) {
    thrown = error;
  }
  expect(isIsthmusError(thrown) && ['bad-frame', 'limit-exceeded'].includes(thrown.code)).toBe(true);
}

describe('a report', () => {
  it('is three fields, and none beside them', () => {
    expect(parseReport(bytes(REPORT))).toEqual(REPORT);
    refuses(() => parseReport(bytes({ ...REPORT, user: 'me' })));
    refuses(() => parseReport(bytes({ version: FLEET_VERSION, question: 3 })));
  });

  it.each([{ version: 2 }, { question: QUESTIONS }, { question: -1 }, { question: 0.5 }, { slower: 1 }])(
    'with %j is refused',
    (wrong) => refuses(() => parseReport(bytes({ ...REPORT, ...wrong }))),
  );

  it('is read from any bytes without another error than ours', () => {
    const form = fc.record({ version: fc.constant(1), question: fc.jsonValue(), slower: fc.jsonValue() });
    const any = fc.oneof(fc.uint8Array(), fc.jsonValue().map(bytes), form.map(bytes));
    fc.assert(
      fc.property(any, (input) => {
        try {
          const { version, question, slower } = parseReport(input);
          expect([version, typeof slower]).toEqual([FLEET_VERSION, 'boolean']);
          expect(question >= 0 && question < QUESTIONS).toBe(true);
        } catch (error) {
          expect(isIsthmusError(error)).toBe(true);
        }
      }),
    );
  });
});

describe('an answer', () => {
  it('may lack a prior, and has one within bounds', () => {
    expect(parseAnswer(bytes({ version: 1, ask: 4 }))).toEqual({ version: 1, ask: 4 });
    const prior = { octaves: -MAX_OCTAVES, spread: 0.5 };
    expect(parseAnswer(bytes({ version: 1, ask: 4, prior }))).toEqual({ version: 1, ask: 4, prior });
  });

  it.each([
    { octaves: MAX_OCTAVES + 1, spread: 1 },
    { octaves: '3', spread: 1 },
    { octaves: 0, spread: -1 },
    { octaves: null, spread: 1 },
    [],
    null,
  ])('with the prior %j is refused', (prior) =>
    refuses(() => parseAnswer(bytes({ version: 1, ask: 4, prior }))),
  );

  it('is read from any bytes without another error than ours', () => {
    const prior = fc.record({ octaves: fc.oneof(fc.double(), fc.jsonValue()), spread: fc.double() });
    const form = fc.record({ version: fc.constant(1), ask: fc.nat(40), prior });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), form.map(bytes)), (input) => {
        try {
          const answer = parseAnswer(input);
          expect(Math.abs(answer.prior?.octaves ?? 0)).toBeLessThanOrEqual(MAX_OCTAVES);
        } catch (error) {
          expect(isIsthmusError(error)).toBe(true);
        }
      }),
    );
  });
});

describe('an address', () => {
  it('names a provider and a class that there are', () => {
    for (const deviceClass of FLEET_CLASSES) {
      const [, , , model, , provider, name] = fleetPath('a/b', 'webgpu', deviceClass).split('/');
      expect(model).toBe('a%2Fb');
      expect(parseFleetPath(provider, name)).toEqual({ provider: 'webgpu', deviceClass });
    }
    expect(parseFleetPath('cpu', 'phone-2-small')).toBeUndefined();
    expect(parseFleetPath('wasm', 'toString')).toBeUndefined();
  });
});

describe('a class', () => {
  it('is one of 18, whatever a browser says', () => {
    expect(FLEET_CLASSES).toHaveLength(18);
    const facts = fc.record(
      { mobile: fc.boolean(), threads: fc.nat(99), cores: fc.nat(999), memoryGb: fc.double() },
      { requiredKeys: ['mobile', 'threads', 'cores'] },
    );
    fc.assert(
      fc.property(facts, ({ memoryGb, ...told }) => {
        const all = memoryGb === undefined ? told : { ...told, memoryGb };
        expect(FLEET_CLASSES).toContain(fleetClass(all));
      }),
    );
  });

  it('tells weak devices from strong ones', () => {
    expect(fleetClass({ mobile: true, threads: 3, cores: 8 })).toBe('phone-4-middle');
    expect(fleetClass({ mobile: true, threads: 2, cores: 8, memoryGb: 4 })).toBe('phone-2-small');
    expect(fleetClass({ mobile: false, threads: 4, cores: 16, memoryGb: 8 })).toBe('computer-4-large');
  });
});
