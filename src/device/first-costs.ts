/**
 * Costs that were measured while a session opened are an upper bound more than an estimate. WASM has just been compiled,
 * and other tabs, sessions and downloads hold the cores: in Chromium devices were believed up to 5.6 times slower than
 * they turned out to be, and hardly ever faster. So the first run that takes less shows by how much all of them are too
 * high, and they are doubted until runs bear them out. Pure, immutable.
 */
import { learnedProfile } from './learned-profile.ts';
import { expectedMs, type PacedSide, type Run, tookMs, unpaced } from './paced-side.ts';
import { scaleSide } from './prior.ts';

/** Requests, or looks, that must bear first costs out: one may still have met the same load. */
export const CONFIRMING_RUNS = 2;

/** Runs of the same work differ by some 10%: what is faster than was believed by this factor is no accident. */
const LOWER_BY = 1.25;

/** No machine was seen to open so many times slower; a coarse clock can show any time as next to nothing. */
const MAX_LOWERING = 8;

/** By what all costs of `side` are to be multiplied, after `runs` that came behind its opening; 1 where they agree. */
export function loweringOf(side: PacedSide, runs: readonly Run[]): number {
  const ratio = tookMs(runs) / expectedMs(side.learned.side, runs);
  return ratio < 1 / LOWER_BY ? Math.max(1 / MAX_LOWERING, ratio) : 1;
}

export function lowered({ learned }: PacedSide, factor: number): PacedSide {
  return unpaced(learnedProfile(scaleSide(learned.side, factor, learned.side), learned.seen));
}
