/** A model and its weights apart, for runtimes that take weights as they lie in memory. Pure. */
import { withGraph } from './model-graph.ts';
import type { OnnxModel, OnnxTensor } from './onnx-types.ts';

/** Smaller tensors stay inside: runtimes read shapes and axes while they build. */
const INSIDE_BYTES = 4096;

export interface DetachedModel {
  /** Points to its large weights by `path`. */
  readonly model: OnnxModel;
  readonly weights: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** No bytes are copied. */
export function detachWeights(model: OnnxModel): DetachedModel {
  const weights: { path: string; data: Uint8Array }[] = [];
  const initializers = model.graph.initializers.map((tensor): OnnxTensor => {
    const { data, ...rest } = tensor;
    if (data === undefined || data.byteLength <= INSIDE_BYTES) return tensor;
    const path = `weight-${weights.length}`;
    weights.push({ path, data });
    return { ...rest, external: { location: path, offset: 0, length: data.byteLength } };
  });
  return { model: withGraph(model, { initializers }), weights };
}
