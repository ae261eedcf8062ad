/**
 * The method for models with a stage that runs once: token by token. Steps are teacher-forced on the
 * whole model's tokens, so that every step is compared even where the tokens part.
 */
import { DTYPE_BYTES, type Tensor, type TensorMap } from '../core/tensor.ts';
import { IsthmusError, throwIfAborted } from '../errors.ts';
import type { SpanExecutor, StepOutput } from '../runtime/executor.ts';
import type { Manifest } from './manifest.ts';
import { largestDifference } from './verify-difference.ts';
import type { VerifyMethod } from './verify-method.ts';
import { Pipeline } from './verify-pipeline.ts';
import { MIN_STEPS, type RunDifference, type VerifyInput, type VerifyTools } from './verify-types.ts';

/** What the whole model answered to one input. */
interface Reference {
  readonly input: VerifyInput;
  /** Values of each step: logits, or all outputs of a model without a loop. */
  readonly steps: readonly TensorMap[];
  /** The model's best token after each step, and the token fed to the next one. */
  readonly best: readonly number[];
  readonly fed: readonly number[];
}

export function stepMethod(manifest: Manifest, tools: VerifyTools): VerifyMethod<Reference> {
  const pipelineOf = ([first, second]: readonly SpanExecutor[]): Pipeline =>
    second === undefined ? new Pipeline(undefined, first) : new Pipeline(first, second);
  return {
    refer: (input, executors) => refer(manifest, input, pipelineOf(executors), tools),
    compare: (reference, executors) => compare(reference, pipelineOf(executors), tools),
  };
}

async function refer(
  manifest: Manifest,
  input: VerifyInput,
  whole: Pipeline,
  tools: VerifyTools,
): Promise<Reference> {
  const eosTokens = manifest.generation?.eosTokens ?? [];
  const steps: TensorMap[] = [];
  const best: number[] = [];
  const fed: number[] = [];
  try {
    let output = await whole.start({ once: input.feeds });
    for (;;) {
      throwIfAborted(tools.signal);
      steps.push(valuesOf(output));
      if (output.kind !== 'logits') break;
      const token = tools.argmax(output.logits);
      best.push(token);
      const isForced = fed.length < (input.forced?.length ?? 0);
      const ended = !isForced && steps.length >= MIN_STEPS && eosTokens.includes(token);
      if (ended || steps.length >= input.maxTokens) break;
      const next = input.forced?.[fed.length] ?? token;
      fed.push(next);
      output = await whole.step(next);
    }
  } finally {
    await whole.close();
  }
  return { input, steps, best, fed };
}

async function compare(reference: Reference, pipeline: Pipeline, tools: VerifyTools): Promise<RunDifference> {
  let maxAbsDiff = 0;
  let tokensEqual = true;
  try {
    let output = await pipeline.start({ once: reference.input.feeds });
    for (const [index, expected] of reference.steps.entries()) {
      throwIfAborted(tools.signal);
      const difference = largestDifference(expected, valuesOf(output));
      maxAbsDiff = Math.max(maxAbsDiff, difference.floats, difference.others);
      tokensEqual &&= difference.others === 0;
      if (output.kind === 'logits') tokensEqual &&= tools.argmax(output.logits) === reference.best[index];
      const next = reference.fed[index];
      if (next !== undefined) output = await pipeline.step(next);
    }
  } finally {
    await pipeline.close();
  }
  return { maxAbsDiff, tokensEqual };
}

/** A copy: the runtime may write its next answer where this one lies. */
function valuesOf(output: StepOutput): TensorMap {
  if (output.kind === 'outputs') return output.tensors;
  if (output.kind === 'crossing') {
    throw new IsthmusError('internal', 'the far span did not reach the end of the model');
  }
  const bytes = new Uint8Array(output.logits.length * DTYPE_BYTES.float32);
  new Float32Array(bytes.buffer).set(output.logits);
  const logits: Tensor = { dtype: 'float32', dims: [output.logits.length], bytes };
  return { logits };
}
