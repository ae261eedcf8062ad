/** Which values follow from given ones; forward walks over the graph. Pure. */
import type { ModelGraph } from './model-graph.ts';
import type { GraphTraits } from './traits.ts';

/** Values with at least one of `from` among what they are made of; `from` itself is not listed. */
export function dependents(graph: ModelGraph, from: ReadonlySet<string>): Set<string> {
  const found = new Set<string>();
  // ONNX lists nodes in an order in which they can run.
  for (const index of graph.nodes.keys()) {
    const reads = graph.reads[index] ?? [];
    if (!reads.some((name) => from.has(name) || found.has(name))) continue;
    for (const output of graph.nodes[index]?.outputs ?? []) if (output !== '') found.add(output);
  }
  return found;
}

/** Looking up rows of a weight is cheap whatever its size. */
const CHEAP_WITH_WEIGHTS = new Set(['Gather', 'GatherElements', 'GatherND']);

/**
 * Values made of `from`, constants and nothing else, `from` included: masks, rotary tables, positions.
 * What multiplies a weight matrix is left out; that is work, wherever its input comes from.
 */
export function derivedAlone(
  graph: ModelGraph,
  traits: GraphTraits,
  from: ReadonlySet<string>,
): ReadonlySet<string> {
  const found = new Set(from);
  // ONNX lists nodes in an order in which they can run.
  for (const index of graph.nodes.keys()) {
    const node = graph.nodes[index];
    if (node === undefined) continue;
    if (traits.heavy[index] === true && !CHEAP_WITH_WEIGHTS.has(node.opType)) continue;
    const reads = graph.reads[index] ?? [];
    if (!reads.some((name) => found.has(name))) continue;
    if (!reads.every((name) => found.has(name) || traits.constant.has(name))) continue;
    for (const output of node.outputs) if (output !== '') found.add(output);
  }
  return found;
}
