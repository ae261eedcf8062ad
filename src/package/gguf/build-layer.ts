/** One layer of the llama and qwen2 families, in onnxruntime's fused operators. */
import { quantiseColumns } from '../../graph/quantise-columns.ts';
import { type GraphParts, ORT_DOMAIN } from './build-graph.ts';
import { addWeight, product, quantiseRows } from './build-product.ts';
import { hadamardMatrix } from './build-rotation.ts';
import type { LlamaWeights } from './build-weights.ts';
import type { LlamaConfig } from './llama-config.ts';

/** Names that every layer's graph shares; `last` and `total` count the padding row, see `addAttention`. */
export interface LayerInputs {
  /** int32 `[1]`: position of the last row. */
  readonly last: string;
  /** int32 scalar: positions with this call's rows. */
  readonly total: string;
  readonly cos: string;
  readonly sin: string;
}

export interface LayerState {
  readonly pastKey: string;
  readonly pastValue: string;
  readonly presentKey: string;
  readonly presentValue: string;
}

export function layerState(layer: number): LayerState {
  return {
    pastKey: `past_key_values.${layer}.key`,
    pastValue: `past_key_values.${layer}.value`,
    presentKey: `present.${layer}.key`,
    presentValue: `present.${layer}.value`,
  };
}

/**
 * Adds layer `layer` and returns the residual stream behind it, float32 `[1, rows, hidden]`. The sum
 * that ends a layer is a node of its own, not hidden in the next layer's norm: it is all that crosses
 * a cut there.
 */
export async function addLayer(
  parts: GraphParts,
  config: LlamaConfig,
  weights: LlamaWeights,
  layer: number,
  residual: string,
  inputs: LayerInputs,
): Promise<string> {
  const name = `blk.${layer}`;
  const { hidden, ffn, heads, headDim } = config;
  const attended = await addAttention(
    parts,
    config,
    weights,
    layer,
    norm(parts, config, residual, `${name}.normed`),
    inputs,
  );
  const output = await weights.attentionOutput(layer);
  const mixed = weighted(parts, attended, `${name}.attn_output`, heads * headDim, hidden, output);
  const sum = `${name}.attn_residual`;
  const wide = parts.add(
    'SkipSimplifiedLayerNormalization',
    [mixed, residual, ones(parts, hidden)],
    [`${name}.ffn_normed`, '', '', sum],
    { epsilon: { float: config.rmsEpsilon } },
    ORT_DOMAIN,
  );
  const gateUp = await weights.gateUp(layer);
  const both = weighted(parts, wide, `${name}.ffn_gate_up`, hidden, 2 * ffn, gateUp);
  const [gate, up] = [`${name}.gate`, `${name}.up`];
  parts.add('Split', [both], [gate, up], { axis: -1 });
  // x * sigmoid(x), which is SiLU.
  const active = parts.add('QuickGelu', [gate], `${name}.active`, { alpha: { float: 1 } }, ORT_DOMAIN);
  const gated = parts.add('Mul', [active, up], `${name}.gated`);
  const even = mixNeighbours(parts, gated, weights.mixed, ffn);
  const narrow = weighted(parts, even, `${name}.ffn_down`, ffn, hidden, await weights.down(layer));
  return parts.add('Add', [narrow, sum], `${name}.residual`);
}

/** RMSNorm without its gain, which is in the weights that read it. */
export function norm(parts: GraphParts, config: LlamaConfig, input: string, output: string): string {
  return parts.add('SimplifiedLayerNormalization', [input, ones(parts, config.hidden)], output, {
    axis: -1,
    epsilon: { float: config.rmsEpsilon },
  });
}

function ones(parts: GraphParts, width: number): string {
  return parts.constant('norm.ones', [width], () => new Float32Array(width).fill(1));
}

/**
 * Spreads each large element over its neighbours, `size` of them, by a Hadamard matrix; the weights that
 * read the result were multiplied by its inverse. One element of the feed-forward part can be hundreds of
 * times the others, which 8 bits with one scale for the row would round away.
 */
function mixNeighbours(parts: GraphParts, input: string, size: number, width: number): string {
  if (size === 1) return input;
  const shape = (name: string, last: number): string =>
    parts.constant(`mix.${name}`, [3], () => BigInt64Array.of(1n, -1n, BigInt(last)));
  const matrix = parts.constant('mix.hadamard', [size, size], () => hadamardMatrix(size));
  const groups = parts.add('Reshape', [input, shape('groups', size)], `${input}.groups`);
  const spread = parts.add('MatMul', [groups, matrix], `${input}.spread`);
  return parts.add('Reshape', [spread, shape('rows', width)], `${input}.mixed`);
}

/**
 * Attention over the state and this call's rows. A row of zeros is put behind them and its result taken
 * away: with a single row onnxruntime's product of shares and values takes another kernel (a matrix by
 * a vector), which adds in another order, and a step would differ from the same row of a prefill in the
 * last bits. The padding's key and value lie in the state behind the last row, where the next run's
 * first row replaces them; so a buffer needs room for one row more than it holds.
 */
async function addAttention(
  parts: GraphParts,
  config: LlamaConfig,
  weights: LlamaWeights,
  layer: number,
  normed: string,
  inputs: LayerInputs,
): Promise<string> {
  const name = `blk.${layer}`;
  const { hidden, heads, kvHeads, headDim } = config;
  const columns = (heads + 2 * kvHeads) * headDim;
  const rows = await weights.queryKeyValue(layer);
  let packed = weighted(parts, normed, `${name}.attn_qkv`, hidden, columns, rows);
  const bias = await weights.queryKeyValueBias(layer);
  if (bias !== undefined) {
    const values = parts.constant(`${name}.attn_qkv.bias`, [columns], () => bias);
    packed = parts.add('Add', [packed, values], `${name}.attn_qkv.biased`);
  }
  const blank = parts.constant('attn.padding', [1, 1, columns], () => new Float32Array(columns));
  const padded = parts.add('Concat', [packed, blank], `${name}.attn_qkv.padded`, { axis: 1 });
  const state = layerState(layer);
  const attended = parts.add(
    'GroupQueryAttention',
    [
      ...[padded, '', '', state.pastKey, state.pastValue, inputs.last, inputs.total, inputs.cos, inputs.sin],
      // A sink that draws nothing, for what it keeps away: onnxruntime's tiled attention does not take
      // sinks. Where it cannot tell the size of the L2 cache (WASM), its tiles are so small that many rows
      // take ten times as long, and one row is not the same as the same row among many.
      ...['', '', noSink(parts, heads)],
    ],
    [`${name}.attended.padded`, state.presentKey, state.presentValue],
    { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, rotary_interleaved: 0 },
    ORT_DOMAIN,
  );
  const bound = (which: string, value: bigint): string =>
    parts.constant(`attn.${which}`, [1], () => BigInt64Array.of(value));
  const kept = [bound('first_row', 0n), bound('padding_row', -1n), bound('row_axis', 1n)];
  return parts.add('Slice', [attended, ...kept], `${name}.attended`);
}

/** float32 `[heads]` for attention's `head_sink`: beside any score, `exp` of it is zero. */
function noSink(parts: GraphParts, heads: number): string {
  return parts.constant('attn.no_sink', [heads], () => new Float32Array(heads).fill(-1e30));
}

/** `input x rows^T` in 8 bits; `rows` is `[columns, inner]`. */
function weighted(
  parts: GraphParts,
  input: string,
  name: string,
  inner: number,
  columns: number,
  rows: Float32Array,
): string {
  const weight = addWeight(parts, `${name}.weight`, inner, columns, () =>
    quantiseColumns(rows, columns, inner),
  );
  return product(parts, quantiseRows(parts, input, `${name}.in`), weight, `${name}.out`);
}
