/** Cuts of a decoder: the step graph is cut, and the init graph is cut at the same blocks. */
import type { TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { type FoundCut, findCuts } from '../../graph/cuts.ts';
import { dependents, derivedAlone } from '../../graph/derived.ts';
import { toModelGraph } from '../../graph/model-graph.ts';
import type { OnnxModel, OnnxValue } from '../../graph/onnx-types.ts';
import { sortLate } from '../../graph/order.ts';
import { joinSkipNorms, splitSkipNorms } from '../../graph/skip-norms.ts';
import { graphTraits } from '../../graph/traits.ts';
import type { Crossing, FeedKind, StepFeed } from '../manifest.ts';
import type { LoopParts } from './classify.ts';
import { activations, toCrossing } from './crossings.ts';
import { feedExtents } from './extent-feeds.ts';
import type { ImportHints } from './hints.ts';
import { initCrossing } from './init-crossing.ts';
import {
  graphInput,
  type Measured,
  measure,
  nodeWork,
  type Probe,
  type Prober,
  probeValues,
} from './prober.ts';
import type { StageParts } from './stage-parts.ts';
import { stateEntries, stateHomes } from './state-entries.ts';
import { measureSteps, probeSteps } from './step-probes.ts';

/** Feeds that say which rows are scored. What depends on them has other rows than the span was given. */
const PICKS: readonly FeedKind[] = ['picked', 'picked-count'];

export interface ContextLink {
  readonly input: string;
  readonly output: string;
}

/** What a decoder reads beside its tokens and state. */
export interface LoopSurroundings {
  readonly links: readonly ContextLink[];
  /** Feeds for the context inputs at two extents (outputs of the stage before). */
  readonly contexts: readonly [TensorMap, TensorMap];
  /** Rows of the context at those extents. */
  readonly rows: readonly [number, number];
  /** Inputs that follow from the place in the text. */
  readonly feeds: readonly StepFeed[];
  readonly hints: ImportHints | undefined;
}

export async function loopStage(
  loop: LoopParts,
  around: LoopSurroundings,
  prober: Prober,
): Promise<StageParts> {
  const init = loop.init === undefined ? undefined : sortLate(loop.init);
  const initProbes = init === undefined ? undefined : await probeInit(init, around, prober);
  const { step, fused, feeds, measured, probes } = await measuredStep(
    loop,
    around,
    initProbes?.[1].values,
    prober,
  );
  const graph = toModelGraph(step);
  const traits = graphTraits(graph, new Set([loop.tokens.name]), nodeWork(step, measured));
  const homes = stateHomes(loop, graph);
  const namesOf = (kinds: (kind: FeedKind) => boolean): Set<string> =>
    new Set(feeds.filter((feed) => kinds(feed.kind)).map((feed) => feed.input));
  const found = findCuts({
    graph,
    traits,
    bytes: (value) => measured.get(value)?.reference ?? Infinity,
    elements: (value) => measured.get(value)?.elements ?? Infinity,
    stateHome: homes,
    stateOutputs: new Set(loop.stepStates.map((pair) => pair.output.name)),
    free: derivedAlone(
      graph,
      traits,
      namesOf(() => true),
    ),
    kept: dependents(
      graph,
      namesOf((kind) => PICKS.includes(kind)),
    ),
  });
  const final = joinSkipNorms(step, fused, new Set(found.flatMap((cut) => cut.sent)));
  const initMeasured: ReadonlyMap<string, Measured> =
    initProbes === undefined ? new Map<string, Measured>() : measure(...initProbes);
  const states = stateEntries(
    loop,
    graph,
    probes,
    {
      homes,
      blockOf: (position) => found.filter((cut) => cut.position <= position).length,
      measuredDims: (pair) => (initMeasured.get(pair.output.name) ?? measured.get(pair.input.name))?.dims,
    },
    around.hints,
  );
  const lossy = activations(graph, traits);
  const known = toModelGraph(final).producer;
  const cutAt = (cut: FoundCut, block: number): { step: Crossing; init?: Crossing } => {
    const recomputed = cut.recomputed.filter((name) => known.has(name));
    const crossing = toCrossing(cut.sent, recomputed, measured, lossy);
    if (init === undefined) return { step: crossing };
    return { step: crossing, init: initCrossing(toModelGraph(init), states, block, initMeasured) };
  };
  const logits = measured.get(loop.logits.name);
  const vocabulary = logits?.dims.at(-1);
  if (logits === undefined || typeof vocabulary !== 'number') {
    throw new IsthmusError('unsupported-model', `the scores '${loop.logits.name}' have no fixed last axis`);
  }
  return {
    graphs: init === undefined ? { step: final } : { init, step: final },
    blocks: found.length + 1,
    cuts: [{}, ...found.map((cut, index) => cutAt(cut, index + 1))],
    states,
    inputs: [graphInput(loop.tokens), ...loop.context.map(graphInput)],
    outputs: [{ name: loop.logits.name, dtype: logits.dtype, dims: logits.dims }],
    describe: {
      kind: 'loop',
      tokenInput: graphInput(loop.tokens),
      logits: loop.logits.name,
      context: around.links,
      feeds,
      vocabulary,
    },
    notes: found.length === 0 ? ['no legal cut was found in the decoder: it is one block'] : [],
  };
}

/** The step graph in the order in which it is cut, and what its values were. */
async function measuredStep(loop: LoopParts, around: LoopSurroundings, init: TensorMap = {}, prober: Prober) {
  const isText = loop.context.length === 0;
  const split = isText ? splitSkipNorms(loop.step) : { model: loop.step, fused: new Map<string, never>() };
  const sorted = sortLate(split.model, [loop.logits.name]);
  const given = { context: around.contexts[1], init };
  const probes = await probeSteps(loop, sorted, around.feeds, given, prober);
  const fed = isText
    ? feedExtents(sorted, loop, around.feeds, probes)
    : { model: sorted, feeds: around.feeds };
  return {
    step: sortLate(fed.model, [loop.logits.name]),
    fused: split.fused,
    feeds: fed.feeds,
    measured: measureSteps(probes),
    probes,
  };
}

async function probeInit(
  init: OnnxModel,
  { contexts, rows }: LoopSurroundings,
  prober: Prober,
): Promise<[Probe, Probe]> {
  return [
    await probeValues(prober, init, pick(contexts[0], init.graph.inputs), rows[0]),
    await probeValues(prober, init, pick(contexts[1], init.graph.inputs), rows[1]),
  ];
}

function pick(from: TensorMap, values: readonly OnnxValue[]): TensorMap {
  return Object.fromEntries(
    values.map(({ name }) => {
      const tensor = from[name];
      if (tensor === undefined) {
        throw new IsthmusError('unsupported-model', `nothing provides the decoder's input '${name}'`);
      }
      return [name, tensor];
    }),
  );
}
