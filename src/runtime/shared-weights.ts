/**
 * Weights that several sessions use, as inputs of their graphs instead of constants: one copy in memory then
 * serves all of them. A tied embedding is such a weight, and so are rotary tables. Pure.
 */
import type { DType } from '../core/tensor.ts';
import type { OnnxModel, OnnxNode, OnnxTensor } from '../graph/onnx-types.ts';
import { dtypeOf } from '../graph/onnx-types.ts';
import type { Manifest } from '../package/manifest.ts';

/** One tensor in a shard of the package. */
export interface SharedWeight {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly location: string;
  /** Bytes from the shard's start. */
  readonly offset: number;
}

/** A tensor in a backend's own memory, by the runtime's handle and its address. */
export interface HeldTensor {
  readonly handle: number;
  readonly pointer: number;
}

/** Shared weights as one session uses them; of use until released. */
export interface HeldWeights {
  readonly tensors: ReadonlyMap<string, HeldTensor>;
  release(): void;
}

/** Memory of a backend in which weights are held once, however many sessions use them. */
export interface WeightSharing {
  /**
   * Puts in place what is not there yet.
   * @param read the bytes of a shard; throws what reading throws
   */
  hold(
    weights: readonly SharedWeight[],
    read: (location: string) => Promise<Uint8Array>,
  ): Promise<HeldWeights>;
}

/** An input costs a few words at each run, and a small constant may help the runtime to simplify the graph. */
const LEAST_BYTES = 2 ** 16;

/** Inputs that operators' kernels take as they come: they do nothing beforehand to one that is constant. */
const TAKEN_AS_IT_IS: Readonly<Record<string, readonly number[]>> = {
  Gather: [0],
  // onnxruntime's WASM kernels do not pack weights (1.30.0); native ones do, so this is not for them.
  MatMulIntegerToFloat: [1, 3],
  GroupQueryAttention: [7, 8],
};

/** Shards that more than one block uses. */
export function sharedShards({ blocks }: Manifest): ReadonlySet<string> {
  const seen = new Set<string>();
  const shared = new Set<string>();
  for (const shard of blocks.flatMap(({ shards }) => [...new Set(shards)])) {
    if (seen.has(shard)) shared.add(shard);
    seen.add(shard);
  }
  return shared;
}

/** The model with such weights of `shards` as inputs, and those weights. */
export function splitShared(
  model: OnnxModel,
  shards: ReadonlySet<string>,
): { readonly model: OnnxModel; readonly weights: readonly SharedWeight[] } {
  const { graph } = model;
  // Sub-graphs may use any weight by its name.
  if (graph.nodes.some((node) => node.attributes.some(({ graphs }) => graphs.length > 0))) {
    return { model, weights: [] };
  }
  const bound = boundNames(graph.nodes);
  const results = new Set(graph.outputs.map(({ name }) => name));
  const weights = graph.initializers.flatMap((tensor) => {
    const isFree = !bound.has(tensor.name) && !results.has(tensor.name);
    const weight = isFree ? sharedWeight(tensor, shards) : undefined;
    return weight === undefined ? [] : [weight];
  });
  if (weights.length === 0) return { model, weights };
  const taken = new Set(weights.map(({ name }) => name));
  const initializers = graph.initializers.filter(({ name }) => !taken.has(name));
  const inputs = graph.initializers
    .filter(({ name }) => taken.has(name))
    .map(({ name, dataType, dims }) => ({ name, elemType: dataType, dims }));
  return {
    model: { ...model, graph: { ...graph, initializers, inputs: [...graph.inputs, ...inputs] } },
    weights,
  };
}

/** Names that some node needs as a constant. */
function boundNames(nodes: readonly OnnxNode[]): ReadonlySet<string> {
  return new Set(
    nodes.flatMap(({ opType, inputs }) =>
      inputs.filter((_, index) => TAKEN_AS_IT_IS[opType]?.includes(index) !== true),
    ),
  );
}

function sharedWeight(tensor: OnnxTensor, shards: ReadonlySet<string>): SharedWeight | undefined {
  const { name, dims, external } = tensor;
  const dtype = dtypeOf(tensor.dataType);
  if (external === undefined || dtype === undefined || !shards.has(external.location)) return undefined;
  const { location, offset, length } = external;
  if (length === undefined || length < LEAST_BYTES) return undefined;
  return { name, dtype, dims, location, offset };
}
