/**
 * The graph of a span, made at run time from the weightless graph of its stage: in the browser and in
 * Node by this same code. Values that crossed the near cut become inputs; everything between them
 * and the span's targets is kept, recomputed values included, because the walk back from the
 * targets stops only at what was sent.
 */
import type { DType } from '../core/tensor.ts';
import { closure, type ModelGraph, withGraph } from './model-graph.ts';
import { dataTypeOf, type OnnxDim, type OnnxModel, type OnnxValue } from './onnx-types.ts';

export interface TypedName {
  readonly name: string;
  readonly dtype: DType;
  /** `null` where the extent varies. */
  readonly dims: readonly (number | null)[];
}

export interface SegmentGraph {
  readonly model: OnnxModel;
  /** Inputs in the graph's order: what crossed, state and raw inputs that are really read. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Targets that are inputs as they stand: the caller hands them on, the graph does not see them. */
  readonly passed: readonly string[];
  /** Names of the weights that it reads. */
  readonly weights: readonly string[];
}

/**
 * @param given what crossed the near cut
 * @param targets values to yield, with their types
 * @throws IsthmusError `bad-model` when a target needs something that is not there
 */
export function composeSegment(
  graph: ModelGraph,
  given: readonly TypedName[],
  targets: readonly TypedName[],
): SegmentGraph {
  const crossed = new Map(given.map((value) => [value.name, value]));
  const isInput = (name: string): boolean => crossed.has(name) || graph.inputs.has(name);
  const made = targets.filter((target) => !isInput(target.name));
  const needed = closure(
    graph,
    made.map((target) => target.name),
    new Set(crossed.keys()),
  );
  const inputs = [...needed.inputs].sort();
  const initializers = graph.model.graph.initializers.filter((tensor) => needed.weights.has(tensor.name));
  const model = withGraph(graph.model, {
    nodes: needed.nodes.flatMap((index) => graph.nodes[index] ?? []),
    initializers,
    inputs: inputs.map((name) => inputValue(graph, name, crossed.get(name))),
    outputs: made.map((target) => graph.outputs.get(target.name) ?? typedValue(target)),
  });
  return {
    model,
    inputs,
    outputs: made.map((target) => target.name),
    passed: targets.filter((target) => isInput(target.name)).map((target) => target.name),
    weights: initializers.map((tensor) => tensor.name),
  };
}

function inputValue(graph: ModelGraph, name: string, crossed: TypedName | undefined): OnnxValue {
  const own = graph.inputs.get(name);
  if (own !== undefined) return own;
  return crossed === undefined ? { name, elemType: 0 } : typedValue(crossed);
}

/**
 * Extents that vary get a symbol of their own: equal symbols would claim equal extents. So do extents
 * of one: told that an extent is one, onnxruntime rewrites transposes and products, and a decoder cut
 * there differed from the whole by 3e-5 in its scores.
 */
function typedValue(value: TypedName): OnnxValue {
  const dims = value.dims.map((dim, axis): OnnxDim => {
    return dim === null || dim === 1 ? `${value.name}_${axis}` : dim;
  });
  return { name: value.name, elemType: dataTypeOf(value.dtype), dims };
}
