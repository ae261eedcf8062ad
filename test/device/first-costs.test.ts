import { describe, expect, it } from 'vitest';
import { CONFIRMING_RUNS, lowered, loweringOf } from '../../src/device/first-costs.ts';
import { learnedProfile } from '../../src/device/learned-profile.ts';
import { expectedMs, type PacedSide, type Run, unpaced } from '../../src/device/paced-side.ts';

const blocks = [
  { once: { base: 40, perUnit: 0 } },
  { once: { base: 60, perUnit: 0 }, step: { base: 10, perUnit: 0 } },
];
const seen = [{ once: 2 }, { once: 2, step: 0 }];
const side: PacedSide = unpaced(learnedProfile({ provider: 'wasm', blocks, confidence: 0 }, seen));
const run = (ms: number): Run => {
  return { segment: { stage: 0, from: 0, to: 2 }, phase: 'once', units: 1, ms, runs: 1 };
};

describe('costs that were measured while a session opened', () => {
  it('are too high by as much as a later run was faster, all of them', () => {
    const factor = loweringOf(side, [run(25)]);
    expect(factor).toBeCloseTo(0.25);
    const next = lowered(side, factor);
    expect(expectedMs(next.learned.side, [run(0)])).toBeCloseTo(25);
    expect(next.learned.side.blocks[1]?.step?.base).toBeCloseTo(2.5);
    expect(next.learned.seen).toBe(side.learned.seen);
  });

  it('stand where a run took as long, or longer', () => {
    for (const ms of [90, 100, 115, 1_000]) expect(loweringOf(side, [run(ms)])).toBe(1);
  });

  it('are not lowered without end by a clock that shows nothing', () => {
    expect(loweringOf(side, [run(0)])).toBeGreaterThan(0.1);
    expect(loweringOf(side, [])).toBe(1);
  });

  it('are borne out by more than one run, for one may have met the same load', () => {
    expect(CONFIRMING_RUNS).toBeGreaterThan(1);
  });
});
