/** Inputs made up for `verify` where the user gives none: deterministic, at two extents. Pure. */
import { elementCount, float32Tensor, type Tensor } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import { probeTensor } from './import/prober.ts';
import type { GraphInput, Manifest, OnceStage } from './manifest.ts';
import { MIN_STEPS, type VerifyInput } from './verify-types.ts';

/** Seconds of made-up audio: a short and a longer request. */
const CHIRP_SECONDS = [1, 2.5] as const;

/** Rows of a stage's output for other kinds of input. */
const ROWS = [16, 50] as const;

/** Extents where the number of rows does not depend on them. */
const FIXED_EXTENTS = [16, 48] as const;

/** Steps for made-up inputs: enough to grow state, few enough to check every cut in a minute. */
export const SYNTHETIC_STEPS = 12;

/** Steps at most for an input that is given, unless the user says otherwise. */
export const DEFAULT_STEPS = 64;

/** Tokens fed first in the second input of a model that takes tokens alone: enough to run many at once. */
const FORCED_TOKENS = 20;

export function syntheticInputs(manifest: Manifest, maxTokens: number = SYNTHETIC_STEPS): VerifyInput[] {
  const [stage] = manifest.stages;
  if (stage === undefined) throw new IsthmusError('bad-package', 'the package has no stage');
  if (stage.kind === 'loop') {
    const forced = Array.from({ length: FORCED_TOKENS }, (_, index) => (7 * index + 3) % stage.vocabulary);
    return [
      { name: 'from the first token', feeds: {}, maxTokens },
      { name: `after ${FORCED_TOKENS} tokens`, feeds: {}, forced, maxTokens: maxTokens + FORCED_TOKENS },
    ];
  }
  const { audio } = manifest;
  if (audio !== undefined) {
    return CHIRP_SECONDS.map((seconds) => ({
      name: `chirps of ${seconds} s`,
      feeds: sampleFeeds(stage, chirps(Math.round(seconds * audio.sampleRate), audio.sampleRate)),
      maxTokens,
    }));
  }
  return ([0, 1] as const).map((index) => {
    const extent = extentFor(stage, index);
    const feeds = stage.inputs.map(
      (input) => [input.name, probeTensor(input.dtype, dimsOf(input, extent))] as const,
    );
    return { name: `extent ${extent}`, feeds: Object.fromEntries(feeds), maxTokens };
  });
}

/** One recording as an input. Samples are mono at the package's rate, -1..1. */
export function audioInput(
  manifest: Manifest,
  name: string,
  samples: Float32Array,
  maxTokens?: number,
): VerifyInput {
  const [stage] = manifest.stages;
  const { audio } = manifest;
  if (stage?.kind !== 'once' || audio === undefined) {
    throw new IsthmusError('bad-option', 'this package does not take audio', {
      details: { hint: 'leave --audio out, or import the model with --sample-rate' },
    });
  }
  const spoken = Math.ceil((samples.length / audio.sampleRate) * audio.maxTokensPerSecond);
  const most = Math.min(DEFAULT_STEPS, manifest.generation?.maxTokens ?? DEFAULT_STEPS);
  return {
    name,
    feeds: sampleFeeds(stage, samples),
    maxTokens: maxTokens ?? Math.max(MIN_STEPS, Math.min(most, spoken)),
  };
}

function sampleFeeds(stage: OnceStage, samples: Float32Array): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const input of stage.inputs) {
    const dims = dimsOf(input, samples.length);
    const isAudio = input.name === stage.extent.input;
    if (isAudio && (input.dtype !== 'float32' || elementCount(dims) !== samples.length)) {
      throw new IsthmusError('bad-package', `the input '${input.name}' does not take samples of audio`);
    }
    feeds[input.name] = isAudio ? float32Tensor(samples, dims) : probeTensor(input.dtype, dims);
  }
  return feeds;
}

function dimsOf(input: GraphInput, extent: number): number[] {
  return input.dims.map((dim, axis) => dim ?? (axis === 0 && input.dims.length > 1 ? 1 : extent));
}

function extentFor(stage: OnceStage, index: 0 | 1): number {
  const { base, perUnit } = stage.rows;
  if (!(perUnit > 0)) return FIXED_EXTENTS[index];
  return Math.max(1, Math.ceil((ROWS[index] - base) / perUnit));
}

/** Rising tones with a pause after two thirds: loud, quiet and silent frames in one input. */
export function chirps(count: number, sampleRate: number): Float32Array {
  const samples = new Float32Array(count);
  for (let i = 0; i < count; i += 1) {
    const second = i / sampleRate;
    const share = i / count;
    if (share > 0.6 && share < 0.75) continue;
    const sweep = 180 * second + 260 * second * second;
    samples[i] = 0.35 * Math.sin(2 * Math.PI * sweep) * (0.6 + 0.4 * Math.sin(2 * Math.PI * 3.1 * second));
  }
  return samples;
}
