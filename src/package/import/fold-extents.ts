/**
 * Exporters read the batch size off whatever tensor is at hand, so that the cross-attention keys of
 * a layer seem to need the layer below. Values that derive from extents alone and come out the same
 * at both probes do not depend on what varies: they become constants and the false need goes.
 */
import type { TensorMap } from '../../core/tensor.ts';
import { prune, toModelGraph, withGraph } from '../../graph/model-graph.ts';
import { dataTypeOf, type OnnxModel, type OnnxTensor } from '../../graph/onnx-types.ts';
import type { Probe } from './prober.ts';

/** Values that depend on extents of the inputs, never on their content. */
export function extentValues(model: OnnxModel): Set<string> {
  const graph = toModelGraph(model);
  const found = new Set<string>();
  graph.nodes.forEach((node, index) => {
    const derives = (graph.reads[index] ?? []).every(
      (name) => found.has(name) || graph.initializers.has(name),
    );
    if (node.opType !== 'Shape' && node.opType !== 'Size' && !derives) return;
    for (const output of node.outputs) found.add(output);
  });
  return found;
}

/** @param small values of all nodes at one extent @param large and at another */
export function foldExtents(model: OnnxModel, small: Probe, large: Probe): OnnxModel {
  const extents = extentValues(model);
  const folded = new Map<string, OnnxTensor>();
  for (const name of extents) {
    const tensor = sameTensor(name, small.values, large.values);
    if (tensor !== undefined) folded.set(name, tensor);
  }
  const outputs = new Set(model.graph.outputs.map((output) => output.name));
  const nodes = model.graph.nodes.filter(
    (node) => !node.outputs.every((name) => name === '' || (folded.has(name) && !outputs.has(name))),
  );
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const initializers = [...folded.values()].filter((tensor) => !made.has(tensor.name));
  return prune(withGraph(model, { nodes, initializers: [...model.graph.initializers, ...initializers] }));
}

function sameTensor(name: string, small: TensorMap, large: TensorMap): OnnxTensor | undefined {
  const a = small[name];
  const b = large[name];
  if (a === undefined || b === undefined || a.dtype !== b.dtype || a.bytes.byteLength !== b.bytes.byteLength)
    return undefined;
  if (a.dims.join() !== b.dims.join() || a.bytes.some((byte, index) => byte !== b.bytes[index]))
    return undefined;
  return { name, dataType: dataTypeOf(a.dtype), dims: a.dims, data: a.bytes.slice(), rest: [] };
}
