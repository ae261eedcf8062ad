/** Cuts of a decoder: the step graph is cut, and the init graph is cut at the same blocks. */
import type { TensorMap } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { solveCrossing } from '../../graph/crossing.ts';
import { type CutSearch, type FoundCut, findCuts, TENSOR_OVERHEAD_BYTES } from '../../graph/cuts.ts';
import { closure, type ModelGraph, toModelGraph } from '../../graph/model-graph.ts';
import type { OnnxValue } from '../../graph/onnx-types.ts';
import { sortLate } from '../../graph/order.ts';
import { type GraphTraits, graphTraits } from '../../graph/traits.ts';
import type { Crossing, StateEntry } from '../manifest.ts';
import type { LoopParts, StatePair } from './classify.ts';
import { activations, toCrossing } from './crossings.ts';
import {
  concreteDims,
  graphInput,
  inputDtype,
  type Measured,
  measure,
  nodeWork,
  type Probe,
  type Prober,
  probeTensor,
  probeValues,
} from './prober.ts';
import type { StageParts } from './stage-parts.ts';

/** Positions already in the state at the two probes of a step. */
const PAST_EXTENTS = [7, 31] as const;

export interface ContextLink {
  readonly input: string;
  readonly output: string;
}

/**
 * @param contexts feeds for the context inputs at two extents (outputs of the stage before)
 * @param rows rows of the context at those extents
 */
export async function loopStage(
  loop: LoopParts,
  links: readonly ContextLink[],
  contexts: readonly [TensorMap, TensorMap],
  rows: readonly [number, number],
  prober: Prober,
): Promise<StageParts> {
  const init = loop.init === undefined ? undefined : sortLate(loop.init);
  const step = sortLate(loop.step, [loop.logits.name]);
  const graph = toModelGraph(step);
  const initProbes =
    init === undefined
      ? undefined
      : ([
          await probeValues(prober, init, pick(contexts[0], init.graph.inputs), rows[0]),
          await probeValues(prober, init, pick(contexts[1], init.graph.inputs), rows[1]),
        ] as const);
  const stepProbe = (past: number): Promise<Probe> =>
    probeValues(prober, step, stepFeeds(loop, graph, past, contexts[1], initProbes?.[1].values), past);
  const measured = measure(await stepProbe(PAST_EXTENTS[0]), await stepProbe(PAST_EXTENTS[1]));
  const traits = graphTraits(graph, new Set([loop.tokens.name]), nodeWork(step, measured));
  const homes = stateHomes(loop, graph);
  const search: CutSearch = {
    graph,
    traits,
    bytes: (value) => measured.get(value)?.reference ?? Infinity,
    elements: (value) => measured.get(value)?.elements ?? Infinity,
    stateHome: homes,
    stateOutputs: new Set(loop.stepStates.map((pair) => pair.output.name)),
  };
  const found = findCuts(search);
  const blockOf = (position: number): number => found.filter((cut) => cut.position <= position).length;
  const initMeasured: ReadonlyMap<string, Measured> =
    initProbes === undefined ? new Map<string, Measured>() : measure(...initProbes);
  const states = stateEntries(
    loop,
    homes,
    blockOf,
    (pair) => (initMeasured.get(pair.output.name) ?? measured.get(pair.input.name))?.dims,
  );
  const lossy = activations(graph, traits);
  const initAt = (block: number): Crossing | undefined =>
    init === undefined ? undefined : initCrossing(toModelGraph(init), states, block, initMeasured);
  const logits = measured.get(loop.logits.name);
  const vocabulary = logits?.dims.at(-1);
  if (logits === undefined || typeof vocabulary !== 'number') {
    throw new IsthmusError('unsupported-model', `the scores '${loop.logits.name}' have no fixed last axis`);
  }
  return {
    graphs: init === undefined ? { step } : { init, step },
    blocks: found.length + 1,
    cuts: [{}, ...found.map((cut, index) => cutAt(cut, measured, lossy, initAt(index + 1)))],
    states,
    inputs: [graphInput(loop.tokens), ...loop.context.map(graphInput)],
    outputs: [{ name: loop.logits.name, dtype: logits.dtype, dims: logits.dims }],
    describe: {
      kind: 'loop',
      tokenInput: graphInput(loop.tokens),
      logits: loop.logits.name,
      context: links,
      feeds: [],
      vocabulary,
    },
    notes: found.length === 0 ? ['no legal cut was found in the decoder: it is one block'] : [],
  };
}

function cutAt(
  cut: FoundCut,
  measured: ReadonlyMap<string, Measured>,
  lossy: ReadonlySet<string>,
  init: Crossing | undefined,
): { step: Crossing; init?: Crossing } {
  // A step is one token: what is measured at the larger probe is taken as its size.
  const crossing = toCrossing(cut.sent, cut.recomputed, measured, lossy);
  const step = {
    ...crossing,
    sent: crossing.sent.map((tensor) => ({
      ...tensor,
      bytes: { base: 0, perUnit: measured.get(tensor.name)?.reference ?? 0 },
    })),
  };
  return init === undefined ? { step } : { step, init };
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

/** Feeds of one step with `past` positions behind it. */
function stepFeeds(
  loop: LoopParts,
  graph: ModelGraph,
  past: number,
  context: TensorMap,
  initValues: TensorMap | undefined,
): TensorMap {
  const feeds: Record<string, ReturnType<typeof probeTensor>> = {};
  for (const value of graph.inputs.values()) {
    const kept = loop.initStates.find((pair) => pair.input.name === value.name);
    const given = kept === undefined ? context[value.name] : initValues?.[kept.output.name];
    const extent = value.name === loop.tokens.name ? 1 : past;
    feeds[value.name] =
      given ??
      probeTensor(
        inputDtype(value),
        concreteDims(value, () => extent),
      );
  }
  return feeds;
}

/**
 * Position of each state input: where its successor is made, or for read-only state where it is first
 * read for more than its shape.
 */
function stateHomes(loop: LoopParts, graph: ModelGraph): Map<string, number> {
  const homes = new Map<string, number>();
  for (const pair of loop.stepStates) {
    homes.set(pair.input.name, graph.producer.get(pair.output.name) ?? 0);
  }
  for (const pair of loop.initStates) {
    const reader = graph.nodes.findIndex(
      (node, index) => node.opType !== 'Shape' && graph.reads[index]?.includes(pair.input.name) === true,
    );
    homes.set(pair.input.name, Math.max(reader, 0));
  }
  return homes;
}

function stateEntries(
  loop: LoopParts,
  homes: ReadonlyMap<string, number>,
  blockOf: (position: number) => number,
  measuredDims: (pair: StatePair) => Measured['dims'] | undefined,
): StateEntry[] {
  const entry =
    (origin: StateEntry['origin']) =>
    (pair: StatePair): StateEntry => {
      const dims = stateDims(pair, measuredDims(pair));
      const axis = dims.indexOf(null);
      const grows = origin === 'step' && axis >= 0;
      return {
        input: pair.input.name,
        output: pair.output.name,
        origin,
        dtype: inputDtype(pair.input),
        dims,
        block: blockOf(homes.get(pair.input.name) ?? 0),
        growth: grows ? 'append' : 'replace',
        ...(grows ? { axis } : {}),
      };
    };
  return [...loop.stepStates.map(entry('step')), ...loop.initStates.map(entry('init'))];
}

/** Fixed extents are those that the model declares or, beside the batch, that never moved. */
function stateDims(pair: StatePair, measured: Measured['dims'] | undefined): (number | null)[] {
  return (pair.input.dims ?? []).map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    return axis === 0 ? 1 : (measured?.[axis] ?? null);
  });
}

/** What of the context crosses once so that blocks from `block` on can fill their own state. */
function initCrossing(
  graph: ModelGraph,
  states: readonly StateEntry[],
  block: number,
  measured: ReadonlyMap<string, Measured>,
): Crossing {
  const outputs = (near: boolean): string[] =>
    states
      .filter((state) => state.origin === 'init' && state.block < block === near)
      .map((state) => state.output);
  const traits: GraphTraits = graphTraits(graph, new Set(), []);
  const near = new Set(closure(graph, outputs(true)).nodes);
  const isFar = new Set(closure(graph, outputs(false)).nodes);
  const answer = solveCrossing({
    // Nodes that only the near side needs are no demand of the far side.
    graph: { ...graph, reads: graph.reads.map((reads, node) => (isFar.has(node) ? reads : [])) },
    near,
    wanted: [],
    cost: (value) => (measured.get(value)?.reference ?? Infinity) + TENSOR_OVERHEAD_BYTES,
    recomputable: traits.recomputable,
    free: (value) => traits.constant.has(value),
  });
  // The context itself is an activation of the stage before.
  const lossy = new Set([...activations(graph, traits), ...graph.inputs.keys()]);
  return toCrossing(answer.sent, answer.recomputed, measured, lossy);
}
