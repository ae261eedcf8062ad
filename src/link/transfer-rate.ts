/**
 * Bytes per second of one direction: the weighted median of the latest transfers. A median, because
 * a stalled transfer is far off and says little, and because the noise of a round trip, taken off
 * before dividing, leaves a median where it was but not a mean. Weighted by bytes and by how far a
 * transfer stands out from that noise, because what fits in a few packets measures delay and not
 * bandwidth; and by recency, so that a change is followed after three or four transfers.
 */

export interface RateSample {
  readonly bytesPerSecond: number;
  /** By bytes, then reduced with every later transfer. */
  readonly weight: number;
  readonly at: number;
}

const MAX_SAMPLES = 8;

/**
 * Kept share of a sample's weight as a newer one arrives that weighs as much as the heaviest; a
 * lighter one takes less, so that many small messages do not wear out what a large transfer told.
 */
const RECENCY = 0.8;

/**
 * Bytes at which a transfer counts half: a TCP sender's initial window of ten segments (RFC 6928),
 * below which all is sent at once.
 */
const HALF_WEIGHT_BYTES = 14_600;

/**
 * A surplus over this many times the noise is no accident: it counts even where the rate believed so
 * far says that the transfer cannot show anything.
 */
const CLEAR_SIGNAL = 4;

/** A surplus below this share of the noise cannot be told from none; the rate is at least so high. */
const LEAST_SIGNAL = 1 / 4;

/** A dial-up modem gives 5 kB/s; nothing that is used is slower by half. */
export const MIN_BYTES_PER_SECOND = 2_000;

/** Above loopback; what a coarse clock makes of a short transfer can be anything. */
export const MAX_BYTES_PER_SECOND = 5e9;

/**
 * `samples` after `bytes` took `excessMs` beyond the round trip, that being known to within
 * `noiseMs`. `current` is what is believed now. `added` is what it came to, where it told anything.
 */
export function addTransfer(
  samples: readonly RateSample[],
  current: number,
  bytes: number,
  excessMs: number,
  noiseMs: number,
  at: number,
): { readonly samples: readonly RateSample[]; readonly added?: RateSample } {
  const rate = (1000 * bytes) / Math.max(LEAST_SIGNAL * noiseMs, excessMs);
  const bytesPerSecond = Math.min(MAX_BYTES_PER_SECOND, Math.max(MIN_BYTES_PER_SECOND, rate));
  // By the expected surplus, not the measured one: else slow samples would weigh more than quick ones.
  const clear = excessMs > CLEAR_SIGNAL * noiseMs ? excessMs : 0;
  const signal = Math.max((1000 * bytes) / current, clear) / noiseMs;
  const weight = (bytes / (bytes + HALF_WEIGHT_BYTES)) * (signal ** 2 / (1 + signal ** 2));
  const heaviest = Math.max(weight, ...samples.map((sample) => sample.weight));
  if (!(weight > 0) || !(heaviest > 0)) return { samples };
  const kept = RECENCY ** (weight / heaviest);
  const added: RateSample = { bytesPerSecond, weight, at };
  const all = [...samples.map((sample) => ({ ...sample, weight: sample.weight * kept })), added];
  if (all.length <= MAX_SAMPLES) return { samples: all, added };
  // The least telling goes, not the oldest.
  const least = all.reduce(
    (worst, sample, index) => (sample.weight < (all[worst]?.weight ?? 0) ? index : worst),
    0,
  );
  return { samples: all.filter((_, index) => index !== least), added };
}

export function fadedWeight(sample: RateSample, at: number, halfLifeMs: number): number {
  return sample.weight * 0.5 ** (Math.max(0, at - sample.at) / halfLifeMs);
}

/** Weighted median, or `undefined` without samples. */
export function medianRate(
  samples: readonly RateSample[],
  at: number,
  halfLifeMs: number,
): number | undefined {
  const weighted = samples
    .map((sample) => ({ rate: sample.bytesPerSecond, weight: fadedWeight(sample, at, halfLifeMs) }))
    .sort((a, b) => a.rate - b.rate);
  const half = weighted.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let passed = 0;
  for (const { rate, weight } of weighted) {
    passed += weight;
    if (passed >= half) return rate;
  }
  return weighted.at(-1)?.rate;
}
