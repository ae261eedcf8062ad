/**
 * Split = whole: runs every cut of a package against the unsplit model. Pure but for the executors and
 * lanes, which are arguments.
 */
import type { Span } from '../core/span.ts';
import { IsthmusError, throwIfAborted } from '../errors.ts';
import type { SpanExecutor } from '../runtime/executor.ts';
import type { Manifest } from './manifest.ts';
import { laneMethod, soleLoop } from './verify-lanes.ts';
import { type VerifyMethod, worstOf } from './verify-method.ts';
import { stepMethod } from './verify-steps.ts';
import {
  type CutVerdict,
  type LoopVerdict,
  type RunDifference,
  VERIFY_TOLERANCE,
  type Verdict,
  type VerifyInput,
  type VerifyTools,
  WAYS_TOLERANCE,
} from './verify-types.ts';

export {
  type CutVerdict,
  type LoopVerdict,
  MIN_STEPS,
  type RunDifference,
  VERIFY_TOLERANCE,
  type Verdict,
  type VerifyInput,
  type VerifyProgress,
  type VerifyTools,
  WAYS_TOLERANCE,
} from './verify-types.ts';

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
  const { lane } = tools;
  const run =
    soleLoop(manifest) === undefined || lane === undefined
      ? runCuts(stepMethod(manifest, tools), { last, inputs, cuts, tools, say })
      : runCuts(laneMethod(manifest, lane, tools), { last, inputs, cuts, tools, say });
  const { verdicts, loop } = await run;
  const ways = [loop?.prefill, loop?.rewind].filter((way) => way !== undefined);
  const ok =
    verdicts.every((cut) => isSame(cut, VERIFY_TOLERANCE)) &&
    ways.every((way) => isSame(way, WAYS_TOLERANCE));
  return { model: manifest.name, cuts: verdicts, ...(loop === undefined ? {} : { loop }), ok };
}

function isSame({ maxAbsDiff, tokensEqual }: RunDifference, tolerance: number): boolean {
  return tokensEqual && maxAbsDiff <= tolerance;
}

interface CutRun {
  readonly last: number;
  readonly inputs: readonly VerifyInput[];
  readonly cuts: readonly number[];
  readonly tools: VerifyTools;
  readonly say: (cut: number | undefined, cutNumber: number, input: VerifyInput) => void;
}

async function runCuts<Reference>(
  method: VerifyMethod<Reference>,
  { last, inputs, cuts, tools, say }: CutRun,
): Promise<{ verdicts: CutVerdict[]; loop: LoopVerdict | undefined }> {
  const references = await withSpans(tools, [{ from: 0, to: last }], async (executors) => {
    const made: { input: VerifyInput; reference: Reference }[] = [];
    for (const input of inputs) {
      say(undefined, 0, input);
      made.push({ input, reference: await method.refer(input, executors) });
    }
    return made;
  });
  const verdicts: CutVerdict[] = [];
  for (const [index, cut] of cuts.entries()) {
    const spans = [
      { from: 0, to: cut },
      { from: cut, to: last },
    ].filter((span) => span.from < span.to);
    const differences = await withSpans(tools, spans, async (executors) => {
      const found: RunDifference[] = [];
      for (const { input, reference } of references) {
        say(cut, index + 1, input);
        found.push(await method.compare(reference, executors, cut));
      }
      return found;
    });
    verdicts.push({ cut, ...worstOf(differences) });
  }
  return { verdicts, loop: method.ways?.(references.map(({ reference }) => reference)) };
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
