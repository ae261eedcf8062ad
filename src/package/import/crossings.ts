/** From the cut search's answer to what the manifest says of a crossing. */

import { IsthmusError } from '../../errors.ts';
import type { ModelGraph } from '../../graph/model-graph.ts';
import type { GraphTraits } from '../../graph/traits.ts';
import type { Crossing, CrossingTensor } from '../manifest.ts';
import type { Measured } from './prober.ts';

/** Below this a float tensor is a scale or a table row; lossy codecs would save nothing there. */
const MIN_LOSSY_BYTES = 256;

/** Float values that depend on a weight matrix: activations. Masks and rotary tables do not. */
export function activations(graph: ModelGraph, traits: GraphTraits): Set<string> {
  const found = new Set<string>();
  graph.nodes.forEach((node, index) => {
    if (node.opType === 'Shape' || node.opType === 'Size') return;
    const reads = graph.reads[index] ?? [];
    if (traits.heavy[index] !== true && !reads.some((name) => found.has(name))) return;
    for (const output of node.outputs) found.add(output);
  });
  return found;
}

export function toCrossing(
  sent: readonly string[],
  recomputed: readonly string[],
  measured: ReadonlyMap<string, Measured>,
  lossy: ReadonlySet<string>,
): Crossing {
  return { sent: sent.map((name) => crossingTensor(name, measured, lossy)), recomputed };
}

export function crossingTensor(
  name: string,
  measured: ReadonlyMap<string, Measured>,
  lossy: ReadonlySet<string>,
): CrossingTensor {
  const value = measured.get(name);
  if (value === undefined) throw new IsthmusError('internal', `the value '${name}' was not measured`);
  const { dtype, dims, bytes, reference } = value;
  const isLossy = dtype === 'float32' && lossy.has(name) && dims.length >= 2 && reference >= MIN_LOSSY_BYTES;
  return { name, dtype, dims, bytes, lossy: isLossy };
}
