import { describe, expect, it } from 'vitest';
import { type Believe, believer, NO_VOTES, type Votes } from '../../src/fleet/belief.ts';
import { isSlower, MAX_OCTAVES, octavesOf, QUESTIONS, questionNear } from '../../src/fleet/question.ts';
import { FLEET_EPSILON, randomiseBit } from '../../src/fleet/randomised-bit.ts';
import { type Random, seeded } from '../../src/simulation/random.ts';

const believe = believer(FLEET_EPSILON);

/** Devices of one class, each asked what the answers before it suggest. */
function asked(
  devices: number,
  median: number,
  random: Random,
  by: Believe = believe,
  epsilon = FLEET_EPSILON,
) {
  let votes: readonly Votes[] = NO_VOTES;
  for (let index = 0; index < devices; index += 1) {
    const question = by(votes).ask(random.next());
    const octaves = median + Math.log2(random.factor(0.8 * Math.LN2));
    const said = randomiseBit(isSlower(octaves, question), Math.floor(random.next() * 2 ** 32), epsilon);
    votes = votes.map(({ yes, no }, at) => {
      if (at !== question) return { yes, no };
      return said ? { yes: yes + 1, no } : { yes, no: no + 1 };
    });
  }
  return by(votes);
}

describe('questions', () => {
  it('stand in order, and each is nearest to what it asks about', () => {
    for (let question = 0; question < QUESTIONS; question += 1) {
      expect(questionNear(octavesOf(question))).toBe(question);
    }
    expect([octavesOf(0), octavesOf(QUESTIONS - 1)]).toEqual([-MAX_OCTAVES, MAX_OCTAVES]);
    expect([questionNear(-99), questionNear(99)]).toEqual([0, QUESTIONS - 1]);
  });
});

describe('a belief', () => {
  it('is the built-in guess, and a wide one, before any answer', () => {
    const { median, doubt } = believe(NO_VOTES);
    expect(median).toBeCloseTo(0, 9);
    expect(doubt).toBeGreaterThan(2.5);
  });

  it.each([-6, -1.5, 0, 3.2, 6])('finds a median of %f octaves behind the noise, without bias', (median) => {
    const runs = Array.from({ length: 12 }, (_, seed) => asked(300, median, seeded(seed)));
    const errors = runs.map((one) => one.median - median);
    expect(Math.abs(errors.reduce((sum, one) => sum + one, 0) / errors.length)).toBeLessThan(0.25);
    for (const error of errors) expect(Math.abs(error)).toBeLessThan(1);
  });

  it('is surer after more answers, and after clearer ones', () => {
    const doubts = [20, 100, 500].map((devices) => asked(devices, 1, seeded(5)).doubt);
    expect(doubts).toEqual([...doubts].sort((a, b) => b - a));
    const clear = asked(100, 1, seeded(5), believer(Infinity), Infinity);
    expect(clear.doubt).toBeLessThan(doubts[1] ?? 0);
  });

  it('stays within its bounds, whatever the answers', () => {
    for (const liars of [
      { yes: 1e9, no: 0 },
      { yes: 0, no: 1e9 },
    ]) {
      const { median, spread, ask } = believe(NO_VOTES.map(() => liars));
      expect(Math.abs(median)).toBeLessThanOrEqual(MAX_OCTAVES);
      expect(spread).toBeGreaterThan(0);
      expect(Number.isFinite(spread)).toBe(true);
      for (const draw of [0, 0.5, 1 - 2 ** -32]) expect(ask(draw)).toBeLessThan(QUESTIONS);
    }
  });

  it('is moved by one answer no more than by any other', () => {
    const before = asked(200, 0, seeded(9));
    const votes = NO_VOTES.map((none, at) => (at === questionNear(0) ? { yes: 100, no: 100 } : none));
    const lie = votes.map((one, at) => (at === QUESTIONS - 1 ? { yes: 1, no: 0 } : one));
    expect(Math.abs(believe(lie).median - believe(votes).median)).toBeLessThan(0.2);
    expect(Math.abs(before.median)).toBeLessThan(1);
  });
});
