/** One layer of the llama and qwen2 families, in onnxruntime's fused operators. */
import { quantiseColumns } from '../../graph/quantise-columns.ts';
import { type GraphParts, ORT_DOMAIN } from './build-graph.ts';
import { addWeight, product, quantiseRows } from './build-product.ts';
import { toHalfSplit } from './build-rope.ts';
import type { LlamaConfig, ReadTensor } from './llama-config.ts';

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
  read: ReadTensor,
  layer: number,
  residual: string,
  inputs: LayerInputs,
): Promise<string> {
  const name = `blk.${layer}`;
  const epsilon = { epsilon: { float: config.rmsEpsilon } };
  const { hidden, ffn, heads, headDim } = config;
  const attentionGain = await gain(parts, read, `${name}.attn_norm.weight`, hidden);
  const normed = parts.add('SimplifiedLayerNormalization', [residual, attentionGain], `${name}.normed`, {
    axis: -1,
    ...epsilon,
  });
  const attended = await addAttention(parts, config, read, layer, normed, inputs);
  const mixed = await linear(parts, read, attended, `${name}.attn_output`, heads * headDim, hidden);
  const ffnGain = await gain(parts, read, `${name}.ffn_norm.weight`, hidden);
  const sum = `${name}.attn_residual`;
  const wide = parts.add(
    'SkipSimplifiedLayerNormalization',
    [mixed, residual, ffnGain],
    [`${name}.ffn_normed`, '', '', sum],
    epsilon,
    ORT_DOMAIN,
  );
  const gateUp = concatenate([await read(`${name}.ffn_gate.weight`), await read(`${name}.ffn_up.weight`)]);
  const both = weighted(parts, wide, `${name}.ffn_gate_up`, hidden, 2 * ffn, gateUp);
  const [gate, up] = [`${name}.gate`, `${name}.up`];
  parts.add('Split', [both], [gate, up], { axis: -1 });
  // x * sigmoid(x), which is SiLU.
  const active = parts.add('QuickGelu', [gate], `${name}.active`, { alpha: { float: 1 } }, ORT_DOMAIN);
  const gated = parts.add('Mul', [active, up], `${name}.gated`);
  const narrow = await linear(parts, read, gated, `${name}.ffn_down`, ffn, hidden);
  return parts.add('Add', [narrow, sum], `${name}.residual`);
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
  read: ReadTensor,
  layer: number,
  normed: string,
  inputs: LayerInputs,
): Promise<string> {
  const name = `blk.${layer}`;
  const { hidden, heads, kvHeads, headDim } = config;
  const columns = (heads + 2 * kvHeads) * headDim;
  const part = async (which: string, width: number, kind: 'weight' | 'bias'): Promise<Float32Array> => {
    const rows = await read(`${name}.attn_${which}.${kind}`);
    return which === 'v' ? rows : toHalfSplit(rows, config, width);
  };
  const all = async (width: number, kind: 'weight' | 'bias'): Promise<Float32Array> =>
    concatenate([await part('q', width, kind), await part('k', width, kind), await part('v', width, kind)]);
  let packed = weighted(parts, normed, `${name}.attn_qkv`, hidden, columns, await all(hidden, 'weight'));
  if (config.qkvBias) {
    const values = await all(1, 'bias');
    const bias = parts.constant(`${name}.attn_qkv.bias`, [columns], () => values);
    packed = parts.add('Add', [packed, bias], `${name}.attn_qkv.biased`);
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
  const rows = [bound('first_row', 0n), bound('padding_row', -1n), bound('row_axis', 1n)];
  return parts.add('Slice', [attended, ...rows], `${name}.attended`);
}

/** float32 `[heads]` for attention's `head_sink`: beside any score, `exp` of it is zero. */
function noSink(parts: GraphParts, heads: number): string {
  return parts.constant('attn.no_sink', [heads], () => new Float32Array(heads).fill(-1e30));
}

export async function gain(
  parts: GraphParts,
  read: ReadTensor,
  name: string,
  width: number,
): Promise<string> {
  const values = await read(name);
  return parts.constant(name, [width], () => values);
}

async function linear(
  parts: GraphParts,
  read: ReadTensor,
  input: string,
  name: string,
  inner: number,
  columns: number,
): Promise<string> {
  return weighted(parts, input, name, inner, columns, await read(`${name}.weight`));
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

function concatenate(pieces: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    result.set(piece, offset);
    offset += piece.length;
  }
  return result;
}
