/** ONNX models to the contents of a package. Pure but for the prober and the hash, which are arguments. */
import type { Tensor, TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { OnnxModel } from '../../graph/onnx-types.ts';
import {
  assemble,
  type ImportedPackage,
  type ImportOptions,
  type ImportTools,
  type NamedParts,
} from './assemble.ts';
import { classify, type LoopParts, type OnceParts } from './classify.ts';
import { foldExtents } from './fold-extents.ts';
import type { ImportHints } from './hints.ts';
import { checkInitStep } from './init-step-check.ts';
import { type ContextLink, loopStage } from './loop-stage.ts';
import { onceStage } from './once-stage.ts';
import { concreteDims, inputDtype, type Prober, probeTensor, probeValues } from './prober.ts';
import { settleFeeds } from './settle-feeds.ts';

export type { ImportedPackage, ImportOptions, ImportTools } from './assemble.ts';
export type { ImportHints } from './hints.ts';

export interface ImportSource {
  /** Shown in errors and progress; stages are named by what they do. */
  readonly name: string;
  /** Weights already read: nothing external. */
  readonly model: OnnxModel;
  /** From a builder that knows its graph; files from elsewhere have none. */
  readonly hints?: ImportHints;
}

export async function importModel(
  sources: readonly ImportSource[],
  options: ImportOptions,
  tools: ImportTools,
): Promise<ImportedPackage> {
  const say = options.onProgress ?? (() => undefined);
  const stages = await stageParts(sources, tools.probe, say);
  say('packing weights');
  return assemble(stages, options, tools);
}

async function stageParts(
  sources: readonly ImportSource[],
  probe: Prober,
  say: (message: string) => void,
): Promise<NamedParts[]> {
  const once: { name: string; parts: OnceParts }[] = [];
  const loops: { source: ImportSource; parts: LoopParts }[] = [];
  for (const source of sources) {
    say(`reading ${source.name}`);
    const parts = classify(source.model, source.hints);
    if (parts.kind === 'once') once.push({ name: source.name, parts });
    else loops.push({ source, parts });
  }
  const [loop] = loops;
  if (once.length > 1 || loops.length > 1 || sources.length === 0) {
    throw new IsthmusError(
      'unsupported-model',
      `a package takes one model that runs once per request and at most one decoder; got ${once.length} and ${loops.length}`,
    );
  }
  const stages: NamedParts[] = [];
  let contexts: readonly [TensorMap, TensorMap] = [{}, {}];
  for (const { name, parts } of once) {
    say(`measuring ${name} and searching for cuts`);
    const built = await onceStage(parts.model, probe);
    stages.push({ name: loop === undefined ? 'model' : 'encoder', parts: built.parts });
    contexts = built.outputs;
  }
  if (loop !== undefined) {
    const { model, name, hints } = loop.source;
    say(`measuring ${name} and searching for cuts`);
    const links = contextLinks(loop.parts, contexts[0]);
    const feeds = [linked(contexts[0], links), linked(contexts[1], links)] as const;
    const rows = [rowsOf(feeds[0]), rowsOf(feeds[1])] as const;
    const folded = await foldInit(loop.parts, feeds, rows, probe);
    const checked = await checkInitStep(model, folded, feeds[1], probe);
    const settled = await settleFeeds(folded, hints, probe);
    const around = { links, contexts: feeds, rows, feeds: settled.feeds, hints };
    const parts = await loopStage(folded, around, probe);
    const notes = [...checked, ...settled.notes, ...parts.notes];
    stages.push({ name: 'decoder', parts: { ...parts, notes } });
  }
  return stages;
}

/** The init graph without what it only seems to need; see `fold-extents.ts`. */
async function foldInit(
  loop: LoopParts,
  contexts: readonly [TensorMap, TensorMap],
  rows: readonly [number, number],
  probe: Prober,
): Promise<LoopParts> {
  const { init } = loop;
  if (init === undefined) return loop;
  const probeAt = (index: 0 | 1) => {
    const feeds: Record<string, Tensor> = {};
    for (const value of init.graph.inputs) {
      feeds[value.name] =
        contexts[index][value.name] ??
        probeTensor(
          inputDtype(value),
          concreteDims(value, () => 1),
        );
    }
    return probeValues(probe, init, feeds, rows[index]);
  };
  return { ...loop, init: foldExtents(init, await probeAt(0), await probeAt(1)) };
}

/** Which output of the stage before feeds which context input: same dtype and rank, in order. */
function contextLinks(loop: LoopParts, outputs: TensorMap): ContextLink[] {
  const free = new Map(Object.entries(outputs));
  return loop.context.map((value) => {
    const match = [...free].find(
      ([, tensor]) =>
        tensor.dims.length === value.dims?.length &&
        tensor.dims.every((dim, axis) => typeof value.dims?.[axis] !== 'number' || value.dims[axis] === dim),
    );
    if (match === undefined) {
      throw new IsthmusError('unsupported-model', `nothing provides the decoder's input '${value.name}'`, {
        details: { input: value.name, hint: 'give the encoder file too' },
      });
    }
    free.delete(match[0]);
    return { input: value.name, output: match[0] };
  });
}

function linked(outputs: TensorMap, links: readonly ContextLink[]): TensorMap {
  return Object.fromEntries(
    links.flatMap(({ input, output }) => {
      const tensor = outputs[output];
      return tensor === undefined ? [] : [[input, tensor]];
    }),
  );
}

function rowsOf(context: TensorMap): number {
  return Object.values(context)[0]?.dims[1] ?? 1;
}
