/**
 * A side's costs together with how often each was measured, corrected by everything that runs.
 * Used for the device and for the endpoint alike. All corrections are multiplicative, in the log
 * domain: a device that throttles or an endpoint under load is slower by a factor.
 */
import type { Phase, Segment } from '../core/span.ts';
import type { Manifest } from '../package/manifest.ts';
import type { BlockCost, SideProfile } from '../planner/types.ts';
import { scaleCost } from './prior.ts';
import { phaseMs } from './span-ms.ts';

/** How many times each phase of a block was measured, faded by age; absent phases are not run. */
export type PhaseCounts = { readonly [phase in Phase]?: number };

export interface LearnedProfile {
  readonly side: SideProfile;
  readonly seen: readonly PhaseCounts[];
  /**
   * Logarithm of the latest ratio of measured to predicted time, when that was far off where much was known.
   * One such time is a pause; a second of the same kind is a device that changed.
   */
  readonly surprise?: number;
}

/** Smallest weight of a new observation; 10 of them remove 97% of a lasting change. */
const LEARNING_RATE = 0.3;

/**
 * Share of a correction that reaches costs measured elsewhere: part of any change is the whole
 * device getting hot or busy, part belongs to the blocks that ran. Costs never measured follow fully.
 */
const DRIFT_SHARE = 0.5;

/** Known costs are off by this factor only when something changed: runs differ by some 10%. */
export const FAR_RATIO = 1.5;

/** Measurements from which a cost is known well enough to be surprised by. */
const KNOWN_SEEN = 2;

/** Two surprises agree when their ratios lie within this factor of each other. */
export const AGREEING_RATIO = 2;

/** One pause (garbage collection, another tab) must not move a known cost by more than this. */
const MAX_KNOWN_RATIO = 4;

/** A guess may be wrong by orders of magnitude, but not without end: a clock can be wrong too. */
const MAX_GUESS_RATIO = 1e4;

/** Ten minutes in one segment is a machine that slept. */
export const MAX_SEGMENT_MS = 600_000;

/** Browsers round times to as much as 1 ms; 0 means "less than could be seen". */
const MIN_SEGMENT_MS = 0.01;

/** Beyond this a count says nothing more, and its fading could not be noticed. */
const MAX_SEEN = 18;

/** Half of the confidence is reached after this many measurements. */
const HALF_CONFIDENCE_SEEN = 2;

/** Mean over all costs of `seen / (seen + 2)`: 0 for a guess, 0.9 after 18 measurements of each. */
export function confidenceOf(seen: readonly PhaseCounts[]): number {
  const counts = seen.flatMap((block) => Object.values(block));
  if (counts.length === 0) return 0;
  return counts.reduce((sum, count) => sum + count / (count + HALF_CONFIDENCE_SEEN), 0) / counts.length;
}

export function learnedProfile(side: SideProfile, seen: readonly PhaseCounts[]): LearnedProfile {
  return { side: { ...side, confidence: confidenceOf(seen) }, seen };
}

/** Nothing was measured: every cost of `side` is a guess. */
export function unmeasured(side: SideProfile): LearnedProfile {
  const seen = side.blocks.map((cost) => Object.fromEntries(Object.keys(cost).map((phase) => [phase, 0])));
  return learnedProfile(side, seen);
}

/** Halves what is known per `halfLives`, as a stored profile grows old. Costs stay. */
export function fadeProfile(profile: LearnedProfile, halfLives: number): LearnedProfile {
  const factor = 0.5 ** Math.max(0, halfLives);
  const seen = profile.seen.map((block) =>
    Object.fromEntries(Object.entries(block).map(([phase, count]) => [phase, count * factor])),
  );
  return learnedProfile(profile.side, seen);
}

export function isSegmentOf(manifest: Manifest, segment: Segment): boolean {
  const stage = manifest.stages[segment.stage];
  return (
    stage !== undefined &&
    Number.isSafeInteger(segment.from) &&
    Number.isSafeInteger(segment.to) &&
    stage.from <= segment.from &&
    segment.from < segment.to &&
    segment.to <= stage.to
  );
}

/** True for a time that a segment can have taken; a clock that jumped gives others. */
export function isPlausibleMs(ms: number): boolean {
  return Number.isFinite(ms) && ms >= 0 && ms <= MAX_SEGMENT_MS;
}

/**
 * `profile` after a segment was seen to take `ms` for `units` (1 for `step`). What cannot be true
 * (an impossible time, a span outside the profile) leaves it as it was.
 */
export function observe(
  profile: LearnedProfile,
  segment: Segment,
  phase: Phase,
  units: number,
  ms: number,
): LearnedProfile {
  const { blocks } = profile.side;
  const inside = (index: number) => index >= segment.from && index < segment.to;
  const held = blocks.flatMap((cost, index) => (inside(index) && cost[phase] !== undefined ? [index] : []));
  if (held.length === 0 || !isPlausibleMs(ms) || !Number.isFinite(units) || units < 0) return profile;

  const measured = Math.max(ms, MIN_SEGMENT_MS);
  const predicted = held.reduce((sum, index) => sum + phaseMs(blocks[index]?.[phase], units), 0);
  const seenHere = Math.min(...held.map((index) => profile.seen[index]?.[phase] ?? 0));
  const seen = profile.seen.map((counts, index) =>
    inside(index) && counts[phase] !== undefined
      ? { ...counts, [phase]: Math.min(MAX_SEEN, (counts[phase] ?? 0) + 1) }
      : counts,
  );
  if (predicted <= 0) {
    const share = { base: measured / held.length, perUnit: 0 };
    const filled = blocks.map((cost, index) => (held.includes(index) ? { ...cost, [phase]: share } : cost));
    return learnedProfile({ ...profile.side, blocks: filled }, seen);
  }

  const far = Math.log(measured / predicted);
  const isSurprise = seenHere >= KNOWN_SEEN && Math.abs(far) > Math.log(FAR_RATIO);
  const { surprise } = profile;
  const agrees = surprise !== undefined && Math.abs(far - surprise) < Math.log(AGREEING_RATIO);
  // The first of its kind is heeded like any other; with the second the whole side is taken to have changed.
  if (isSurprise && agrees) {
    const changed = blocks.map((cost) => scaleCost(cost, () => Math.exp(far)));
    return learnedProfile({ ...profile.side, blocks: changed }, seen);
  }

  // The first measurement replaces a guess, the second averages with it, later ones correct slowly.
  const gain = Math.max(LEARNING_RATE, 1 / (1 + seenHere));
  const bound = seenHere < 1 ? MAX_GUESS_RATIO : MAX_KNOWN_RATIO;
  const ratio = Math.min(bound, Math.max(1 / bound, measured / predicted));
  const corrected = blocks.map((cost, index): BlockCost => {
    const counts = profile.seen[index] ?? {};
    return scaleCost(cost, (part) => {
      if (part === phase && inside(index)) return ratio ** gain;
      if ((counts[part] ?? 0) < 1) return ratio ** gain;
      // That a guess was wrong says nothing about what is known.
      return seenHere < 1 ? 1 : ratio ** (LEARNING_RATE * DRIFT_SHARE);
    });
  });
  const next = learnedProfile({ ...profile.side, blocks: corrected }, seen);
  return isSurprise ? { ...next, surprise: far } : next;
}
