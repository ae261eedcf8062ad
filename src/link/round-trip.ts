/**
 * Smoothed round-trip time: mean and mean deviation as in RFC 6298, with three changes. The mean
 * starts as the smallest of the first few samples, since a connection's first exchanges also pay for
 * handshakes and cold code. The gain is larger than TCP's 1/8, since a request gives one sample or
 * two where TCP has one per window. And two samples in a row that are far off on the same side start
 * the mean anew there: one is a stall, two are another path.
 */

export interface RoundTrip {
  readonly meanMs: number;
  readonly spreadMs: number;
  /** First samples, while there are fewer than `SEED_SAMPLES`. */
  readonly seeds: readonly number[];
  /** The latest sample, when it was far off. */
  readonly surprise?: number;
  /** Samples so far, faded by age at `at`. */
  readonly count: number;
  readonly at: number;
}

const SEED_SAMPLES = 3;

/** After 10 samples 3% of a lasting change is left. */
const MEAN_GAIN = 0.3;

/** RFC 6298, section 2.3. */
const SPREAD_GAIN = 1 / 4;

/** RFC 6298, section 2.2: after one sample the deviation is taken as half of it. */
const FIRST_SPREAD = 1 / 2;

/** A sample further from the mean than this many deviations is far off, and counts as if it were here. */
const FAR_SPREADS = 4;

/**
 * For the deviation a sample counts no more than this many deviations: a stall must not widen it so
 * much that the next sample no longer looks far off.
 */
const WIDEST_SPREADS = 2;

/** Two samples agree when their distance is below this share of that to the mean. */
const AGREEMENT = 1 / 2;

/** Two samples say little of the deviation: it starts again at this share of their mean. */
const RESTART_SPREAD = 1 / 8;

/** Clocks in browsers tick every 0.1 to 1 ms; no spread is known better than that. */
export const CLOCK_TICK_MS = 1;

export function addRoundTrip(
  before: RoundTrip | undefined,
  ms: number,
  at: number,
  halfLifeMs: number,
): RoundTrip {
  if (before === undefined) return { meanMs: ms, spreadMs: ms * FIRST_SPREAD, seeds: [ms], count: 1, at };
  const known = fadedCount(before, at, halfLifeMs);
  const count = known + 1;
  if (before.seeds.length < SEED_SAMPLES) {
    const seeds = [...before.seeds, ms];
    const meanMs = Math.min(...seeds);
    const seenMs = seeds.reduce((sum, seed) => sum + seed - meanMs, 0) / seeds.length;
    // Two that happen to agree would make much of a transfer that shows nothing.
    const spreadMs = Math.max(seenMs, meanMs * RESTART_SPREAD);
    return { meanMs, spreadMs, seeds, count, at };
  }
  const { meanMs, spreadMs, seeds, surprise } = before;
  const latest = Math.max(before.at, at);
  const distance = ms - meanMs;
  const bound = FAR_SPREADS * Math.max(CLOCK_TICK_MS, spreadMs);
  const far = Math.abs(distance) > bound;
  if (surprise !== undefined && Math.abs(ms - surprise) < AGREEMENT * Math.abs(distance)) {
    return { ...restarted(before, (surprise + ms) / 2), count, at: latest };
  }
  const heeded = Math.min(bound, Math.max(-bound, distance));
  // What was known long ago is soon outweighed.
  const gain = Math.max(MEAN_GAIN, 1 / count);
  const widest = WIDEST_SPREADS * Math.max(CLOCK_TICK_MS, spreadMs);
  return {
    meanMs: meanMs + gain * heeded,
    spreadMs: spreadMs + SPREAD_GAIN * (Math.min(Math.abs(distance), widest) - spreadMs),
    seeds,
    count,
    at: latest,
    ...(far ? { surprise: ms } : {}),
  };
}

/** The round trip once something that includes one took only `ms`. */
export function capRoundTrip(before: RoundTrip, ms: number): RoundTrip {
  const { surprise, meanMs } = before;
  if (ms >= meanMs) return before;
  return surprise !== undefined && surprise <= ms ? restarted(before, surprise) : { ...before, meanMs: ms };
}

function restarted({ seeds, count, at }: RoundTrip, meanMs: number): RoundTrip {
  return { meanMs, spreadMs: meanMs * RESTART_SPREAD, seeds, count, at };
}

export function fadedCount(trip: RoundTrip, at: number, halfLifeMs: number): number {
  return trip.count * 0.5 ** (Math.max(0, at - trip.at) / halfLifeMs);
}
