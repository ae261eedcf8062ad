/**
 * Band-limited change of the sample rate: each output sample is a sum of the input weighted by a
 * Kaiser-windowed sinc around its place in time (J. O. Smith, "Digital Audio Resampling"). Rates are
 * whole numbers, so the places repeat after a few phases and their weights are kept.
 */
import { IsthmusError } from '../../errors.ts';
import { MAX_SAMPLE_RATE } from './wav-format.ts';

/** Zero crossings of the sinc on each side. 32 put the transition band inside the top 9% of the band. */
const ZERO_CROSSINGS = 32;

/** Kaiser's shape: about 90 dB of stop band, below the noise of a 14-bit recording. */
const KAISER_BETA = 9;

/** Share of the narrower band that is kept; the rest is room for the transition. */
const ROLL_OFF = 0.945;

/** Common rates have at most 441 phases; odd pairs with more are computed anew instead of kept. */
const MAX_KEPT_PHASES = 1024;

export interface Resampler {
  /** Samples that `input` samples become: `round(input * to / from)`. */
  outputLength(input: number): number;
  /** Fills `output[from..to)` from the whole input; places outside the input count as silence. */
  fill(output: Float32Array, from: number, to: number, input: Float32Array): void;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Modified Bessel function of the first kind, order zero, by its power series. */
function bessel0(x: number): number {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function checkRate(rate: number): void {
  if (Number.isSafeInteger(rate) && rate >= 1 && rate <= MAX_SAMPLE_RATE) return;
  throw new IsthmusError('bad-input', `a sample rate is a whole number of Hz, not ${rate}`, {
    details: { rate, limit: MAX_SAMPLE_RATE },
  });
}

/** Rates in Hz. Throws `bad-input` for rates that are not whole numbers in 1..768000. */
export function createResampler(from: number, to: number): Resampler {
  checkRate(from);
  checkRate(to);
  const divisor = greatestCommonDivisor(from, to);
  const phases = to / divisor;
  const stride = from / divisor;
  const cutoff = Math.min(1, to / from) * ROLL_OFF;
  const halfWidth = ZERO_CROSSINGS / cutoff;
  const taps = 2 * Math.ceil(halfWidth);
  const windowScale = bessel0(KAISER_BETA);
  const kept: (Float64Array | undefined)[] = [];

  /** Weights of the inputs around a place `phase / phases` of a sample after the base sample. */
  function weigh(phase: number): Float64Array {
    const weights = new Float64Array(taps);
    let sum = 0;
    for (let tap = 0; tap < taps; tap += 1) {
      const distance = tap - taps / 2 + 1 - phase / phases;
      const across = distance / halfWidth;
      if (Math.abs(across) >= 1) continue;
      const x = Math.PI * distance * cutoff;
      const sinc = x === 0 ? 1 : Math.sin(x) / x;
      const weight = (sinc * bessel0(KAISER_BETA * Math.sqrt(1 - across * across))) / windowScale;
      weights[tap] = weight;
      sum += weight;
    }
    // Exactly unit gain for a constant, whatever the phase: otherwise the phases hum.
    return weights.map((weight) => weight / sum);
  }

  function weightsOf(phase: number): Float64Array {
    const found = kept[phase];
    if (found !== undefined) return found;
    const weights = weigh(phase);
    if (phases <= MAX_KEPT_PHASES) kept[phase] = weights;
    return weights;
  }

  return {
    outputLength: (input) => Math.round((input * to) / from),
    fill(output, first, end, input) {
      for (let index = first; index < end; index += 1) {
        const place = index * stride;
        const phase = place % phases;
        const weights = weightsOf(phase);
        const start = (place - phase) / phases - taps / 2 + 1;
        const low = Math.max(0, -start);
        const high = Math.min(taps, input.length - start);
        let sum = 0;
        for (let tap = low; tap < high; tap += 1) sum += (weights[tap] ?? 0) * (input[start + tap] ?? 0);
        output[index] = sum;
      }
    },
  };
}

/** The same array when the rates are equal. */
export function resample(samples: Float32Array, from: number, to: number): Float32Array {
  const resampler = createResampler(from, to);
  if (from === to) return samples;
  const output = new Float32Array(resampler.outputLength(samples.length));
  resampler.fill(output, 0, output.length, samples);
  return output;
}

/** Output samples between two pauses: under 10 ms of work on a slow phone at common rates. */
export const PIECE_SAMPLES = 4096;

/** As `resample`, but awaits `pause` between pieces, so that a page can draw in the meantime. */
export async function resampleInPieces(
  samples: Float32Array,
  from: number,
  to: number,
  pause: () => Promise<void>,
): Promise<Float32Array> {
  const resampler = createResampler(from, to);
  if (from === to) return samples;
  const output = new Float32Array(resampler.outputLength(samples.length));
  for (let start = 0; start < output.length; start += PIECE_SAMPLES) {
    if (start > 0) await pause();
    resampler.fill(output, start, Math.min(start + PIECE_SAMPLES, output.length), samples);
  }
  return output;
}
