/**
 * Split = whole: runs every cut of a package against the unsplit model. Pure but for the executors,
 * which are an argument. Steps are teacher-forced on the whole model's tokens, so that every step is
 * compared even where the tokens part.
 */
import type { Span } from '../core/span.ts';
import { DTYPE_BYTES, type Tensor, type TensorMap } from '../core/tensor.ts';
import { IsthmusError, throwIfAborted } from '../errors.ts';
import type { SpanExecutor, StepOutput } from '../runtime/executor.ts';
import type { Manifest } from './manifest.ts';
import { largestDifference } from './verify-difference.ts';
import { Pipeline } from './verify-pipeline.ts';

/**
 * Largest difference of a value that still counts as equal. Both sides run the same operators on the
 * same runtime, so the expected difference is none; this leaves room for a kernel that sums in another
 * order when the machine is busy.
 */
export const VERIFY_TOLERANCE = 1e-5;

/** Steps compared at least, also when the end token comes earlier: state errors show after some steps. */
export const MIN_STEPS = 8;

export interface VerifyInput {
  readonly name: string;
  /** Inputs of a first stage that runs once; empty for a model that is a loop alone. */
  readonly feeds: TensorMap;
  /** Tokens to feed before the model's own; they lengthen the state. */
  readonly forced?: readonly number[];
  /** Steps of the loop at most. Greedy decoding ends earlier at an end token, after `MIN_STEPS`. */
  readonly maxTokens: number;
}

export interface CutVerdict {
  readonly cut: number;
  /** Over every value compared; `Number.MAX_VALUE` where shapes differ or one side is not a number. */
  readonly maxAbsDiff: number;
  /** Greedy tokens at every step; for models without a loop, every whole-number output. */
  readonly tokensEqual: boolean;
}

export interface Verdict {
  readonly model: string;
  readonly cuts: readonly CutVerdict[];
  readonly ok: boolean;
}

export interface VerifyProgress {
  /** `undefined` while the whole model runs. */
  readonly cut: number | undefined;
  /** Counted from 1. */
  readonly cutNumber: number;
  readonly cuts: number;
  readonly input: string;
  readonly inputNumber: number;
  readonly inputs: number;
}

export interface VerifyTools {
  readonly executor: (span: Span) => SpanExecutor;
  /** Frees the sessions of a span. */
  readonly unload: (span: Span) => Promise<void>;
  /** Index of the largest score, lowest among equals. */
  readonly argmax: (scores: Float32Array) => number;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}

/** What the whole model answered to one input. */
interface Reference {
  readonly input: VerifyInput;
  /** Values of each step: logits, or all outputs of a model without a loop. */
  readonly steps: readonly TensorMap[];
  /** The model's best token after each step, and the token fed to the next one. */
  readonly best: readonly number[];
  readonly fed: readonly number[];
}

/**
 * @param cuts which to check; all by default
 * @throws IsthmusError `bad-option` for no input or a cut that the package lacks, `aborted`, and
 * whatever the executors throw
 */
export async function verifyCuts(
  manifest: Manifest,
  inputs: readonly VerifyInput[],
  tools: VerifyTools,
  cuts: readonly number[] = manifest.cuts.map((cut) => cut.cut),
): Promise<Verdict> {
  const last = manifest.blocks.length;
  for (const cut of cuts) {
    if (Number.isInteger(cut) && cut >= 0 && cut <= last) continue;
    throw new IsthmusError('bad-option', `there is no cut ${cut}: cuts of this package go from 0 to ${last}`);
  }
  if (inputs.length === 0 || cuts.length === 0) {
    throw new IsthmusError('bad-option', 'there is nothing to verify: give an input and a cut');
  }
  const say = (cut: number | undefined, cutNumber: number, input: VerifyInput): void => {
    throwIfAborted(tools.signal);
    const inputNumber = inputs.indexOf(input) + 1;
    tools.onProgress?.({
      cut,
      cutNumber,
      cuts: cuts.length,
      input: input.name,
      inputNumber,
      inputs: inputs.length,
    });
  };
  const references = await withSpans(tools, [{ from: 0, to: last }], async ([whole]) => {
    const made: Reference[] = [];
    for (const input of inputs) {
      say(undefined, 0, input);
      made.push(await refer(manifest, input, new Pipeline(undefined, whole), tools));
    }
    return made;
  });
  const verdicts: CutVerdict[] = [];
  for (const [index, cut] of cuts.entries()) {
    verdicts.push(await verifyCut(cut, last, references, tools, (input) => say(cut, index + 1, input)));
  }
  const ok = verdicts.every((cut) => cut.tokensEqual && cut.maxAbsDiff <= VERIFY_TOLERANCE);
  return { model: manifest.name, cuts: verdicts, ok };
}

/** Spans are in memory only while they are compared: at most the whole model at any time. */
async function withSpans<T>(
  tools: VerifyTools,
  spans: readonly Span[],
  use: (executors: readonly SpanExecutor[]) => Promise<T>,
): Promise<T> {
  const executors = spans.map(tools.executor);
  try {
    for (const executor of executors)
      await executor.load(tools.signal === undefined ? {} : { signal: tools.signal });
    return await use(executors);
  } finally {
    for (const span of spans) await tools.unload(span);
  }
}

function verifyCut(
  cut: number,
  last: number,
  references: readonly Reference[],
  tools: VerifyTools,
  say: (input: VerifyInput) => void,
): Promise<CutVerdict> {
  const spans = [
    { from: 0, to: cut },
    { from: cut, to: last },
  ].filter((span) => span.from < span.to);
  return withSpans(tools, spans, async (executors) => {
    const [first, second] = executors;
    let maxAbsDiff = 0;
    let tokensEqual = true;
    for (const reference of references) {
      say(reference.input);
      const pipeline = second === undefined ? new Pipeline(undefined, first) : new Pipeline(first, second);
      const verdict = await compare(reference, pipeline, tools);
      maxAbsDiff = Math.max(maxAbsDiff, verdict.maxAbsDiff);
      tokensEqual &&= verdict.tokensEqual;
    }
    return { cut, maxAbsDiff, tokensEqual };
  });
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

async function compare(
  reference: Reference,
  pipeline: Pipeline,
  tools: VerifyTools,
): Promise<Omit<CutVerdict, 'cut'>> {
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
