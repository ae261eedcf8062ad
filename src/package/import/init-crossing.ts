/** Crossings of the init graph: it is cut at the same blocks as the step. */
import { solveCrossing } from '../../graph/crossing.ts';
import { TENSOR_OVERHEAD_BYTES } from '../../graph/cuts.ts';
import { closure, type ModelGraph } from '../../graph/model-graph.ts';
import { type GraphTraits, graphTraits } from '../../graph/traits.ts';
import type { Crossing, StateEntry } from '../manifest.ts';
import { activations, toCrossing } from './crossings.ts';
import type { Measured } from './prober.ts';

/** What of the context crosses once so that blocks from `block` on can fill their own state. */
export function initCrossing(
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
