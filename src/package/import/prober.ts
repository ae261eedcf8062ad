/**
 * Shapes by measurement. Exported shape annotations are missing, symbolic or wrong often enough that
 * the importer runs the graph at two extents and looks. What is run is the model itself, on
 * meaningless numbers: only shapes and dtypes are read off.
 */
import {
  DTYPE_BYTES,
  type DType,
  elementCount,
  makeTensor,
  type Tensor,
  type TensorMap,
} from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { toModelGraph, withGraph } from '../../graph/model-graph.ts';
import { dtypeOf, type OnnxModel, type OnnxValue } from '../../graph/onnx-types.ts';
import type { Affine, GraphInput } from '../manifest.ts';
import { type Prober, withModel } from './probe-session.ts';

export type { Prober } from './probe-session.ts';

export interface Measured {
  readonly dtype: DType;
  readonly dims: readonly (number | null)[];
  /** Bytes as a function of the extent. */
  readonly bytes: Affine;
  /** Bytes and elements at the larger probe. */
  readonly reference: number;
  readonly elements: number;
}

export interface Probe {
  /** Extent in the unit of the phase (samples, rows, positions). */
  readonly extent: number;
  readonly values: TensorMap;
}

/** A tensor of small numbers; ids and flags get ones, which every vocabulary and mask has. */
export function probeTensor(dtype: DType, dims: readonly number[]): Tensor {
  const count = elementCount(dims);
  const bytes = new Uint8Array(count * DTYPE_BYTES[dtype]);
  if (dtype === 'float32') {
    const values = new Float32Array(bytes.buffer);
    // A slow wave: constant input makes normalisation divide by zero.
    for (let i = 0; i < count; i += 1) values[i] = 0.3 * Math.sin(i * 0.37) + 0.1 * Math.sin(i * 0.011);
  } else if (dtype === 'int64' || dtype === 'uint64') new BigInt64Array(bytes.buffer).fill(1n);
  else if (dtype === 'int32' || dtype === 'uint32') new Int32Array(bytes.buffer).fill(1);
  else if (dtype === 'bool' || dtype === 'uint8' || dtype === 'int8') bytes.fill(1);
  return makeTensor(dtype, dims, bytes);
}

/** Concrete extents for a declared input: fixed ones as they are, axis 0 is the batch, others by `extent`. */
export function concreteDims(value: OnnxValue, extent: (symbol: string, axis: number) => number): number[] {
  if (value.dims === undefined) {
    throw new IsthmusError('unsupported-model', `the input '${value.name}' has no declared rank`);
  }
  return value.dims.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    return axis === 0 ? 1 : extent(dim ?? '', axis);
  });
}

export function inputDtype(value: OnnxValue): DType {
  const dtype = dtypeOf(value.elemType);
  if (dtype === undefined) {
    throw new IsthmusError('unsupported-model', `the input '${value.name}' has a type that cannot be fed`);
  }
  return dtype;
}

/** Every value that nodes make, plus the inputs themselves, as seen in one run. */
export async function probeValues(
  prober: Prober,
  model: OnnxModel,
  feeds: TensorMap,
  extent: number,
): Promise<Probe> {
  const names = [...toModelGraph(model).producer.keys()];
  const [values = feeds] = await probeNamed(prober, model, [feeds], names);
  return { extent, values };
}

/** The values `names`, plus the inputs, once for each of `feeds`; the model is loaded once. */
export async function probeNamed(
  prober: Prober,
  model: OnnxModel,
  feeds: readonly TensorMap[],
  names: readonly string[],
): Promise<TensorMap[]> {
  if (names.length === 0) return [...feeds];
  const declared = toModelGraph(model).outputs;
  const all = withGraph(model, {
    outputs: names.map((name) => declared.get(name) ?? { name, elemType: 0 }),
  });
  return withModel(prober, all, async (run) => {
    const seen: TensorMap[] = [];
    for (const given of feeds) seen.push({ ...given, ...(await run(given, names)) });
    return seen;
  });
}

/** Puts two probes together: what varies becomes `null`, bytes become an affine function. */
export function measure(small: Probe, large: Probe): Map<string, Measured> {
  const measured = new Map<string, Measured>();
  for (const [name, a] of Object.entries(small.values)) {
    const b = large.values[name];
    if (b === undefined || a.dims.length !== b.dims.length) continue;
    const dims = a.dims.map((dim, axis) => (dim === b.dims[axis] ? dim : null));
    measured.set(name, {
      dtype: b.dtype,
      dims,
      bytes: affineThrough(small.extent, a.bytes.byteLength, large.extent, b.bytes.byteLength),
      reference: b.bytes.byteLength,
      elements: elementCount(b.dims),
    });
  }
  return measured;
}

/** The line through two points; flat when they coincide. */
export function affineThrough(x0: number, y0: number, x1: number, y1: number): Affine {
  if (x0 === x1) return { base: y1, perUnit: 0 };
  const perUnit = (y1 - y0) / (x1 - x0);
  return { base: y0 - perUnit * x0, perUnit };
}

export function graphInput(value: OnnxValue): GraphInput {
  return {
    name: value.name,
    dtype: inputDtype(value),
    dims: (value.dims ?? []).map((dim) => (typeof dim === 'number' ? dim : null)),
  };
}

/** Work of each node in touched elements; products count their inner extent. */
export function nodeWork(model: OnnxModel, measured: ReadonlyMap<string, Measured>): number[] {
  const graph = toModelGraph(model);
  const elements = (name: string): number => {
    const tensor = graph.initializers.get(name);
    if (tensor !== undefined) return tensor.dims.reduce((product, dim) => product * dim, 1);
    return measured.get(name)?.elements ?? 0;
  };
  return graph.nodes.map((node, index) => {
    const read = (graph.reads[index] ?? []).map(elements);
    const made = node.outputs.map(elements).reduce((sum, count) => sum + count, 0);
    const light = read.reduce((sum, count) => sum + count, made);
    if (!/MatMul|Gemm|Conv|Einsum/.test(node.opType)) return light;
    // For [m, k] x [k, n] the square root of (m k)(k n)(m n) is m k n; near enough for convolutions.
    const [a = 1, b = 1] = read;
    return Math.max(light, Math.sqrt(a * b * Math.max(made, 1)));
  });
}
