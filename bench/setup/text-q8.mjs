/**
 * SmolLM2 in the form in which transformers.js gets its 8-bit models: the layout of onnx-community's
 * folders, the graph of onnxruntime-genai's builder (one GroupQueryAttention a layer, positions from the
 * attention mask, logits of the last row alone), and matrices as onnxruntime's `quantize_dynamic` writes
 * them: int8 with one scale for each matrix, activations uint8 with a scale found at run time.
 */
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isStale } from '../../demo/start/stale.mjs';
import { Graph, TYPES } from './text-onnx.mjs';
import { openWeights } from './text-weights.mjs';

const LARGEST = 127;
const OPSET = 17;

const HERE = ['text-q8.mjs', 'text-onnx.mjs', 'text-weights.mjs'].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
);

/**
 * Writes the folder unless it is there.
 * @returns {Promise<{ folder: string, bytes: number }>}
 */
export async function makeQ8(ggufPath, folder, log) {
  const model = join(folder, 'onnx/model_quantized.onnx');
  if (await isStale(model, [ggufPath, ...HERE])) {
    log('Writing the q8 export for transformers.js');
    await mkdir(join(folder, 'onnx'), { recursive: true });
    const weights = await openWeights(ggufPath);
    try {
      const config = configOf(weights.metadata);
      await writeFile(join(folder, 'config.json'), JSON.stringify(config, undefined, 2));
      // No end token: every answer has the length that the bench asks for.
      await writeFile(join(folder, 'generation_config.json'), '{}');
      await writeFile(`${model}.part`, await buildModel(config, weights.read));
      await rename(`${model}.part`, model);
    } finally {
      await weights.close();
    }
  }
  return { folder, bytes: (await stat(model)).size };
}

function configOf(metadata) {
  const value = (key) => Number(metadata[`llama.${key}`]);
  const heads = value('attention.head_count');
  return {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    hidden_size: value('embedding_length'),
    intermediate_size: value('feed_forward_length'),
    num_hidden_layers: value('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: value('attention.head_count_kv'),
    head_dim: value('embedding_length') / heads,
    max_position_embeddings: value('context_length'),
    rms_norm_eps: value('attention.layer_norm_rms_epsilon'),
    rope_theta: value('rope.freq_base'),
    vocab_size: value('vocab_size'),
    tie_word_embeddings: true,
  };
}

async function buildModel(config, read) {
  const graph = new Graph();
  const { num_hidden_layers: layers, hidden_size: hidden, vocab_size: vocabulary } = config;
  const table = await read('token_embd.weight');
  addPositions(graph, config);
  const embedding = quantise(table);
  graph.weight('embed.weight', [vocabulary, hidden], embedding.data);
  graph.weight('embed.scale', [], Float32Array.of(embedding.scale));
  graph.weight('zero', [], Int8Array.of(0));
  graph.node('Gather', ['embed.weight', 'input_ids'], 'embed.rows');
  let residual = graph.node('DequantizeLinear', ['embed.rows', 'embed.scale', 'zero'], 'embed.out');
  graph.weight('layers.0.norm', [hidden], await read('blk.0.attn_norm.weight'));
  const epsilon = { epsilon: { float: config.rms_norm_eps } };
  let normed = graph.node('SimplifiedLayerNormalization', [residual, 'layers.0.norm'], 'layers.0.normed', {
    axis: -1,
    ...epsilon,
  });
  for (let layer = 0; layer < layers; layer += 1) {
    [normed, residual] = await addLayer(graph, config, read, layer, normed, residual);
  }
  // Logits are wanted of the last rows alone: `num_logits_to_keep` of them.
  graph.weight('minus', [], BigInt64Array.of(-1n));
  graph.weight('first_axis', [1], BigInt64Array.of(0n));
  graph.weight('row_axis', [1], BigInt64Array.of(1n));
  graph.weight('end', [1], BigInt64Array.of(2n ** 62n));
  graph.node('Mul', ['num_logits_to_keep', 'minus'], 'keep.from');
  graph.node('Unsqueeze', ['keep.from', 'first_axis'], 'keep.start');
  const kept = graph.node('Slice', [normed, 'keep.start', 'end', 'row_axis'], 'keep.rows');
  const rows = quantiseRows(graph, kept, 'head');
  addProduct(graph, rows, 'head', turn(table, vocabulary, hidden), [hidden, vocabulary], 'logits');
  return graph.write(...valuesOf(config), OPSET);
}

/** What GroupQueryAttention asks for, from the attention mask; and its tables. */
function addPositions(graph, { max_position_embeddings: positions, head_dim: headDim, rope_theta: theta }) {
  graph.weight('mask_axis', [1], BigInt64Array.of(1n));
  graph.weight('one', [1], BigInt64Array.of(1n));
  graph.weight('mask_extent', [], BigInt64Array.of(1n));
  graph.node('ReduceSum', ['attention_mask', 'mask_axis'], 'mask.sum', { keepdims: 1 });
  graph.node('Sub', ['mask.sum', 'one'], 'mask.last');
  graph.node('Cast', ['mask.last'], 'seqlens_k', { to: TYPES.int32 });
  graph.node('Shape', ['attention_mask'], 'mask.shape');
  graph.node('Gather', ['mask.shape', 'mask_extent'], 'mask.total');
  graph.node('Cast', ['mask.total'], 'total_sequence_length', { to: TYPES.int32 });
  const pairs = headDim / 2;
  const angle = (index) => Math.floor(index / pairs) * theta ** ((-2 * (index % pairs)) / headDim);
  const indices = Array.from({ length: positions * pairs }, (_, index) => angle(index));
  graph.weight('cos', [positions, pairs], Float32Array.from(indices, Math.cos));
  graph.weight('sin', [positions, pairs], Float32Array.from(indices, Math.sin));
}

/** @returns {Promise<[string, string]>} the next layer's normed input, and the residual stream */
async function addLayer(graph, config, read, layer, normed, residual) {
  const { hidden_size: hidden, intermediate_size: ffn, rms_norm_eps: float } = config;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
  const name = `layers.${layer}`;
  const linear = async (rows, which, inner, columns, reorder = (values) => values) => {
    const values = reorder(await read(`blk.${layer}.${which}.weight`));
    return addProduct(graph, rows, `${name}.${which}`, turn(values, columns, inner), [inner, columns]);
  };
  const halves = (values) => toHalfSplit(values, headDim, hidden);
  const input = quantiseRows(graph, normed, `${name}.in`);
  const q = await linear(input, 'attn_q', hidden, heads * headDim, halves);
  const k = await linear(input, 'attn_k', hidden, kvHeads * headDim, halves);
  const v = await linear(input, 'attn_v', hidden, kvHeads * headDim);
  const past = ['key', 'value'].map((which) => `past_key_values.${layer}.${which}`);
  const present = ['key', 'value'].map((which) => `present.${layer}.${which}`);
  const attended = graph.fused(
    'GroupQueryAttention',
    [q, k, v, ...past, 'seqlens_k', 'total_sequence_length', 'cos', 'sin'],
    [`${name}.attended`, ...present],
    { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, rotary_interleaved: 0 },
  );
  const mixedRows = quantiseRows(graph, attended, `${name}.mixed`);
  const mixed = await linear(mixedRows, 'attn_output', heads * headDim, hidden);
  const add = async (which, left, right, gain) => {
    graph.weight(`${name}.${which}.gain`, [hidden], await read(gain));
    const [normedOut, sum] = [`${name}.${which}`, `${name}.${which}.sum`];
    graph.fused(
      'SkipSimplifiedLayerNormalization',
      [left, right, `${name}.${which}.gain`],
      [normedOut, '', '', sum],
      { epsilon: { float } },
    );
    return [normedOut, sum];
  };
  const [wide, sum] = await add('attn', mixed, residual, `blk.${layer}.ffn_norm.weight`);
  const wideRows = quantiseRows(graph, wide, `${name}.wide`);
  const gate = await linear(wideRows, 'ffn_gate', hidden, ffn);
  const up = await linear(wideRows, 'ffn_up', hidden, ffn);
  graph.node('Sigmoid', [gate], `${name}.sigmoid`);
  graph.node('Mul', [gate, `${name}.sigmoid`], `${name}.silu`);
  const gated = graph.node('Mul', [`${name}.silu`, up], `${name}.gated`);
  const narrow = await linear(quantiseRows(graph, gated, `${name}.narrow`), 'ffn_down', ffn, hidden);
  const isLast = layer === config.num_hidden_layers - 1;
  return add('ffn', narrow, sum, isLast ? 'output_norm.weight' : `blk.${layer + 1}.attn_norm.weight`);
}

function quantiseRows(graph, input, prefix) {
  const [data, scale, zero] = ['u8', 'scale', 'zero'].map((which) => `${prefix}.${which}`);
  graph.node('DynamicQuantizeLinear', [input], [data, scale, zero]);
  return { data, scale, zero };
}

function addProduct(graph, rows, prefix, values, dims, output = `${prefix}.out`) {
  const { data, scale } = quantise(values);
  graph.weight(`${prefix}.weight`, dims, data);
  graph.weight(`${prefix}.weight_scale`, [], Float32Array.of(scale));
  graph.node('MatMulInteger', [rows.data, `${prefix}.weight`, rows.zero, 'zero'], `${prefix}.sums`);
  graph.node('Cast', [`${prefix}.sums`], `${prefix}.floats`, { to: TYPES.float32 });
  graph.node('Mul', [rows.scale, `${prefix}.weight_scale`], `${prefix}.scales`);
  return graph.node('Mul', [`${prefix}.floats`, `${prefix}.scales`], output);
}

function quantise(values) {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = largest / LARGEST;
  return { data: Int8Array.from(values, (value) => Math.round(value / scale)), scale };
}

/** `[rows, inner]` as `[inner, rows]`. */
function turn(values, rows, inner) {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row += 1) {
    for (let index = 0; index < inner; index += 1) result[index * rows + row] = values[row * inner + index];
  }
  return result;
}

/** llama.cpp's order of a head's rows (axes that turn together are neighbours) back to that of the export. */
function toHalfSplit(values, headDim, inner) {
  const result = new Float32Array(values.length);
  for (let row = 0; row < values.length / inner; row += 1) {
    const axis = row % headDim;
    const place = axis % 2 === 0 ? axis / 2 : (axis - 1 + headDim) / 2;
    result.set(values.subarray(row * inner, (row + 1) * inner), (row - axis + place) * inner);
  }
  return result;
}

function valuesOf({
  num_hidden_layers: layers,
  num_key_value_heads: kvHeads,
  head_dim: headDim,
  vocab_size,
}) {
  const state = (name, extent) =>
    Array.from({ length: layers }, (_, layer) =>
      ['key', 'value'].map((which) => ({
        name: `${name}.${layer}.${which}`,
        type: TYPES.float32,
        dims: ['batch_size', kvHeads, extent, headDim],
      })),
    ).flat();
  const inputs = [
    { name: 'input_ids', type: TYPES.int64, dims: ['batch_size', 'sequence_length'] },
    { name: 'attention_mask', type: TYPES.int64, dims: ['batch_size', 'total_sequence_length'] },
    { name: 'num_logits_to_keep', type: TYPES.int64, dims: [] },
    ...state('past_key_values', 'past_sequence_length'),
  ];
  const logits = { name: 'logits', type: TYPES.float32, dims: ['batch_size', 'kept', vocab_size] };
  return [inputs, [logits, ...state('present', 'total_sequence_length')]];
}
