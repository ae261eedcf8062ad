/**
 * Cuts audio that is longer than a model takes into pieces, at the quietest places: between words if
 * there is a pause, so that no word is cut in two.
 */
import { IsthmusError } from '../../errors.ts';

/** Loudness is averaged over this long: shorter than a pause, longer than the gap inside a plosive. */
const QUIET_SECONDS = 0.2;

/** Places are compared this far apart. */
const HOP_SECONDS = 0.01;

/** Cuts are looked for in this last share of the longest allowed piece, so that pieces stay long. */
const SEARCH_SHARE = 0.4;

export interface SplitOptions {
  /** Hz. */
  readonly sampleRate: number;
  /** Longest piece, in seconds. */
  readonly maxSeconds: number;
}

/**
 * Views of `samples`, in order, that cover every sample exactly once; none is empty or longer than
 * `maxSeconds`. Empty audio gives no pieces. Throws `bad-option` when `maxSeconds` is no whole sample.
 */
export function splitAtQuiet(samples: Float32Array, options: SplitOptions): Float32Array[] {
  const limit = Math.floor(options.maxSeconds * options.sampleRate);
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new IsthmusError('bad-option', `pieces of ${options.maxSeconds} s at ${options.sampleRate} Hz`, {
      details: { maxSeconds: options.maxSeconds, sampleRate: options.sampleRate },
    });
  }
  const pieces: Float32Array[] = [];
  let start = 0;
  while (samples.length - start > limit) {
    const earliest = start + Math.max(1, Math.ceil(limit * (1 - SEARCH_SHARE)));
    const cut = quietest(samples, earliest, start + limit, options.sampleRate);
    pieces.push(samples.subarray(start, cut));
    start = cut;
  }
  if (start < samples.length) pieces.push(samples.subarray(start));
  return pieces;
}

/** The place in `[from, to]` with the least energy around it; of equals the last. */
function quietest(samples: Float32Array, from: number, to: number, sampleRate: number): number {
  const half = Math.max(1, Math.round((QUIET_SECONDS * sampleRate) / 2));
  const hop = Math.max(1, Math.round(HOP_SECONDS * sampleRate));
  const sums = energySums(samples, from - half, to + half);
  let best = to;
  let least = Number.POSITIVE_INFINITY;
  for (let place = to; place >= from; place -= hop) {
    const low = Math.max(0, place - half);
    const high = Math.min(samples.length, place + half);
    const energy = (sums(high) - sums(low)) / (high - low);
    if (energy < least) {
      least = energy;
      best = place;
    }
  }
  return best;
}

/** Running sums of squares, so that any stretch inside `[from, to)` costs one subtraction. */
function energySums(samples: Float32Array, from: number, to: number): (place: number) => number {
  const low = Math.max(0, from);
  const high = Math.min(samples.length, to);
  const sums = new Float64Array(high - low + 1);
  for (let index = low; index < high; index += 1) {
    const value = samples[index] ?? 0;
    sums[index - low + 1] = (sums[index - low] ?? 0) + value * value;
  }
  return (place) => sums[place - low] ?? 0;
}
