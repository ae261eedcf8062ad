/** A side as it was measured, with a forecast of its pace at the next request. Pure, immutable. */
import type { SideProfile } from '../planner/types.ts';
import type { Measurement } from './fit.ts';
import { type LearnedProfile, observe } from './learned-profile.ts';
import { NEW_PACE, observePace, type PaceForecast, paceFactor } from './pace-forecast.ts';
import { scaleSide } from './prior.ts';
import { phaseMs } from './span-ms.ts';

export interface PacedSide {
  readonly learned: LearnedProfile;
  readonly pace: PaceForecast;
}

/** A measurement, and how often it ran in a request: `ms` is of one run. */
export interface Run extends Measurement {
  readonly runs: number;
}

export function unpaced(learned: LearnedProfile): PacedSide {
  return { learned, pace: NEW_PACE };
}

/** `side` after one request, of which `runs` are all segments that ran there. */
export function observeRuns(side: PacedSide, runs: readonly Run[]): PacedSide {
  const learned = runs.reduce(
    (now, { segment, phase, units, ms }) => observe(now, segment, phase, units, ms),
    side.learned,
  );
  if (learned === side.learned) return side;
  const pace = observePace(side.pace, {
    measuredMs: tookMs(runs),
    beforeMs: expectedMs(side.learned.side, runs),
    afterMs: expectedMs(learned.side, runs),
  });
  return { learned, pace };
}

/** What the planner takes: the profile at the pace that is forecast. */
export function nextSide({ learned, pace }: PacedSide): SideProfile {
  const { factor, by } = paceFactor(pace);
  const { side } = learned;
  return by === 'usual' ? side : scaleSide(side, factor, side);
}

/** What `runs` took together. */
export function tookMs(runs: readonly Run[]): number {
  return runs.reduce((sum, { ms, runs: times }) => sum + ms * times, 0);
}

/** What `runs` take together, by `side`. */
export function expectedMs(side: SideProfile, runs: readonly Run[]): number {
  return runs.reduce((sum, { segment, phase, units, runs: times }) => {
    const held = side.blocks.slice(segment.from, segment.to);
    return sum + times * held.reduce((all, cost) => all + phaseMs(cost[phase], units), 0);
  }, 0);
}
