/** What the cut search must know of each node and value: which are heavy, raw, constant or cheap. */
import { DTYPE_BYTES } from '../core/tensor.ts';
import type { ModelGraph } from './model-graph.ts';
import { dtypeOf, type OnnxTensor } from './onnx-types.ts';

/** A weight matrix of this size is always heavy; in small graphs the bound follows the largest weight. */
const HEAVY_WEIGHT_BYTES = 16 * 1024;

/** A matrix below this share of the largest weight is a table or a scale, not a layer. */
const HEAVY_SHARE = 1 / 64;

/** A node that makes this share of all work or less may run twice. */
export const CHEAP_SHARE = 0.001;

/**
 * Operators that give the same values wherever they run and whose work is near their output's size.
 * Matrix products are judged by their measured size instead (rotary tables are one).
 */
const LIGHT_OPS = new Set(
  (
    'Abs Add And Cast CastLike Ceil Clip Compress Concat ConstantOfShape Cos CumSum DequantizeLinear Div ' +
    'DynamicQuantizeLinear Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Greater ' +
    'GreaterOrEqual Identity IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log Max Mean Min Mod Mul Neg ' +
    'NonZero Not OneHot Or Pad Pow QuantizeLinear RMSNormalization Range Reciprocal ReduceMax ReduceMean ReduceMin ' +
    'ReduceProd ReduceSum Relu Reshape Round Shape Sigmoid Sign SimplifiedLayerNormalization Sin Size Slice Softmax ' +
    'Split Sqrt Squeeze Sub Sum Swish Tanh Tile Transpose Trilu Unsqueeze Where Xor'
  ).split(' '),
);

const PRODUCT_OPS = new Set(['MatMul', 'Gemm', 'Einsum']);

/** Operators that look rows up: in a table of weights the answer is an activation, not the ids. */
const LOOKUP_OPS = new Set(['Gather', 'GatherBlockQuantized']);

/** Tables of these hold numbers of a weight; tables of whole ids only rename what was given. */
const WEIGHT_DTYPE = /^(float|u?int8)/;

/** Operators that reveal only extents of what they read. */
const EXTENT_OPS = new Set(['Shape', 'Size']);

export interface GraphTraits {
  /** Node reads a weight matrix (directly, or one derived from weights alone). */
  readonly heavy: readonly boolean[];
  /** What a heavy node is, e.g. `MatMul 64x256`: equal layers have equal marks. Empty for others. */
  readonly mark: readonly string[];
  /** Value depends on nothing but weights and constants. */
  readonly constant: ReadonlySet<string>;
  /** Value shows the user's raw input (token ids, samples) or a rearrangement of it: never sent. */
  readonly raw: ReadonlySet<string>;
  readonly recomputable: (node: number) => boolean;
}

export function weightBytes(tensor: OnnxTensor | undefined): number {
  if (tensor === undefined) return 0;
  if (tensor.data !== undefined) return tensor.data.byteLength;
  if (tensor.external?.length !== undefined) return tensor.external.length;
  const dtype = dtypeOf(tensor.dataType);
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  return dtype === undefined ? count : count * DTYPE_BYTES[dtype];
}

/** Weights that make up layers: at least two true axes, and not small beside the largest. */
function heavyWeights(graph: ModelGraph): Set<string> {
  let largest = 0;
  for (const tensor of graph.initializers.values()) largest = Math.max(largest, weightBytes(tensor));
  const bound = Math.min(HEAVY_WEIGHT_BYTES, largest * HEAVY_SHARE);
  const heavy = new Set<string>();
  for (const [name, tensor] of graph.initializers) {
    if (tensor.dims.filter((dim) => dim > 1).length >= 2 && weightBytes(tensor) >= bound) heavy.add(name);
  }
  return heavy;
}

/**
 * @param rawInputs inputs that hold what the user gave
 * @param work measured work of each node, in any unit (elements touched)
 */
export function graphTraits(
  graph: ModelGraph,
  rawInputs: ReadonlySet<string>,
  work: readonly number[],
): GraphTraits {
  const constant = new Set(graph.initializers.keys());
  const big = heavyWeights(graph);
  const raw = new Set(rawInputs);
  const heavy: boolean[] = [];
  const mark: string[] = [];
  graph.nodes.forEach((node, index) => {
    const reads = graph.reads[index] ?? [];
    const touchesBig = reads.some((name) => big.has(name));
    const isConstant = reads.every((name) => constant.has(name));
    heavy.push(touchesBig && !isConstant);
    mark.push(touchesBig && !isConstant ? markOf(graph, node.opType, reads) : '');
    const isLookup = LOOKUP_OPS.has(node.opType) && isWeight(graph, constant, node.inputs[0]);
    const isRaw =
      !touchesBig && !isLookup && !EXTENT_OPS.has(node.opType) && reads.some((name) => raw.has(name));
    for (const output of node.outputs) {
      if (isConstant) constant.add(output);
      if (isConstant && touchesBig) big.add(output);
      if (isRaw) raw.add(output);
    }
  });
  const total = work.reduce((sum, amount) => sum + amount, 0);
  const recomputable = (index: number): boolean => {
    const node = graph.nodes[index];
    if (node === undefined || node.domain !== '' || heavy[index] === true) return false;
    if ((graph.reads[index] ?? []).every((name) => constant.has(name))) return true;
    if (LIGHT_OPS.has(node.opType)) return true;
    return PRODUCT_OPS.has(node.opType) && (work[index] ?? Infinity) <= total * CHEAP_SHARE;
  };
  return { heavy, mark, constant, raw, recomputable };
}

/** A table of weights: as it lies in the file, or derived from weights alone. */
function isWeight(graph: ModelGraph, constant: ReadonlySet<string>, name: string | undefined): boolean {
  if (name === undefined || !constant.has(name)) return false;
  const tensor = graph.initializers.get(name);
  return tensor !== undefined && WEIGHT_DTYPE.test(dtypeOf(tensor.dataType) ?? 'uint8');
}

function markOf(graph: ModelGraph, opType: string, reads: readonly string[]): string {
  const shapes = reads.flatMap((name) => graph.initializers.get(name)?.dims.join('x') ?? []);
  return `${opType} ${shapes.filter((shape) => shape !== '').join(' ')}`;
}
