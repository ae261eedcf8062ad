import { describe, expect, it } from 'vitest';
import { LookJudge, SLOWER_IN_A_ROW } from '../../src/device/look-judge.ts';

/** A device that is believed to take so many ms, and what a look at it takes for each of them. */
function judging(believedMs: number, share = 1) {
  let ms = believedMs;
  const judge = new LookJudge();
  return {
    judge,
    believed: () => ms,
    /** The device takes so many ms; something beside the look makes it slower. */
    look: (deviceMs: number, beside = 1) => {
      const taken = judge.take({ ms: deviceMs * share * beside, expectedMs: () => ms });
      if (taken.factor !== undefined) ms *= taken.factor;
      return taken;
    },
    request: (deviceMs: number) => {
      ms = deviceMs;
      judge.noteRequests();
    },
  };
}

describe('what is believed of a look', () => {
  it('is nothing for noise, and a faster one at once', () => {
    const { look, believed } = judging(10);
    expect(look(10.5)).toEqual({ isSame: true });
    expect(look(5)).toMatchObject({ isSame: false });
    expect(believed()).toBeCloseTo(5, 9);
  });

  it('is a slower one when three in a row were, by the least of them', () => {
    const { look, believed } = judging(10);
    for (let round = 0; round < 4; round += 1) {
      look(10, 3);
      look(10, 2);
      look(10);
    }
    expect(believed()).toBe(10);
    look(10, 3);
    look(10, 2);
    look(10, 2.5);
    expect(believed()).toBeCloseTo(20, 9);
    look(10);
    expect(believed()).toBeCloseTo(10, 9);
  });

  it('is a share of what requests take', () => {
    const { look, request, believed } = judging(10, 0.8);
    request(10);
    expect(look(10)).toEqual({ isSame: true });
    for (let round = 0; round < 5; round += 1) expect(look(10)).toEqual({ isSame: true });
    expect(believed()).toBe(10);
    look(5);
    expect(believed()).toBeCloseTo(5, 9);
  });

  it('is learned from a request that does not bear it out: once misled is enough', () => {
    const { look, request, believed } = judging(10, 0.6);
    request(10);
    expect(look(10).factor).toBeCloseTo(0.6, 9);
    request(10);
    for (let round = 0; round < 5; round += 1) {
      expect(look(10)).toEqual({ isSame: true });
      request(10);
    }
    for (let round = 0; round < SLOWER_IN_A_ROW; round += 1) look(30);
    expect(believed()).toBeCloseTo(30, 9);
  });

  it('needs more behind requests than behind another look', () => {
    const { look, request } = judging(10);
    request(10);
    expect(look(8)).toEqual({ isSame: true });
    request(10);
    // By now it is known what a look is worth.
    expect(look(5.5)).toMatchObject({ isSame: false });
  });

  it('is nothing where a clock stood still, and bounded where it is coarse', () => {
    const { look, judge, believed } = judging(10);
    expect(look(0)).toEqual({ isSame: false });
    expect(judge.take({ ms: 1, expectedMs: () => 0 })).toEqual({ isSame: false });
    expect(judge.take({ ms: Number.NaN, expectedMs: () => 1 })).toEqual({ isSame: false });
    expect(believed()).toBe(10);
    look(1e-6);
    expect(believed()).toBe(10 / 8);
  });

  it('tells nothing of other looks', () => {
    const { look, request, judge, believed } = judging(10, 0.7);
    request(10);
    look(10);
    judge.forget();
    expect(look(10).factor).toBeCloseTo(0.7, 9);
    expect(believed()).toBeCloseTo(7, 9);
  });
});
