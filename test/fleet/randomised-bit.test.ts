import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FLEET_EPSILON,
  randomiseBit,
  truthShare,
  truthWords,
  unbiasedShare,
} from '../../src/fleet/randomised-bit.ts';
import { seeded } from '../../src/simulation/random.ts';

const epsilons = fc.double({ min: 0.01, max: 20, noNaN: true });

describe('a randomised answer', () => {
  it('has, for each thing heard, odds of at most e^epsilon between any two truths', () => {
    fc.assert(
      fc.property(epsilons, (epsilon) => {
        const told = truthWords(epsilon);
        const chance = (truth: boolean, heard: boolean): number => (truth === heard ? told : 2 ** 32 - told);
        for (const heard of [true, false]) {
          for (const [one, other] of [
            [true, false],
            [false, true],
          ] as const) {
            expect(chance(one, heard) / chance(other, heard)).toBeLessThanOrEqual(Math.exp(epsilon));
          }
        }
      }),
    );
  });

  it('is true on just as many words as are said', () => {
    const told = truthWords(FLEET_EPSILON);
    expect([randomiseBit(true, told - 1), randomiseBit(true, told)]).toEqual([true, false]);
    expect([randomiseBit(false, 0), randomiseBit(false, 2 ** 32 - 1)]).toEqual([false, true]);
    expect(told / (2 ** 32 - told)).toBeCloseTo(Math.E, 6);
    expect(randomiseBit(true, 2 ** 32 - 1, Infinity)).toBe(true);
  });

  it.each([0.5, FLEET_EPSILON, 3])('tells the share of yes without bias, at epsilon %f', (epsilon) => {
    const random = seeded(11);
    const answers = 40_000;
    for (const share of [0, 0.2, 0.5, 1]) {
      let yes = 0;
      for (let index = 0; index < answers; index += 1) {
        const word = Math.floor(random.next() * 2 ** 32);
        if (randomiseBit(index < share * answers, word, epsilon)) yes += 1;
      }
      // Four standard deviations of the worst case.
      const bound = 4 / (2 * Math.sqrt(answers) * (2 * truthShare(epsilon) - 1));
      expect(Math.abs(unbiasedShare(yes, answers, epsilon) - share)).toBeLessThan(bound);
    }
  });
});
