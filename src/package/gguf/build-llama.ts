/**
 * The llama and qwen2 families as one ONNX graph for prefill, single steps and drafts: RMSNorm, grouped
 * queries with rotary positions, SwiGLU, tied or untied head. State lies in buffers of fixed capacity
 * that a runtime may write in place.
 */

import { throwIfAborted } from '../../errors.ts';
import type { OnnxModel, OnnxValue } from '../../graph/onnx-types.ts';
import { quantiseColumns } from '../../graph/quantise-columns.ts';
import type { StepFeed } from '../manifest.ts';
import { GraphParts, graphValue, ORT_DOMAIN } from './build-graph.ts';
import { addLayer, layerState, norm } from './build-layer.ts';
import { addWeight, product, quantiseRows } from './build-product.ts';
import { ropeTables } from './build-rope.ts';
import { scaleTurned } from './build-turn.ts';
import { LlamaWeights } from './build-weights.ts';
import type { LlamaConfig, ReadTensor } from './llama-config.ts';

/** Names of the graph's inputs and outputs, as exports in the hub's layout have them. */
export const LLAMA_NAMES = {
  tokens: 'input_ids',
  last: 'seqlens_k',
  total: 'total_sequence_length',
  picked: 'picked_rows',
  logits: 'logits',
} as const;

/** IR 8 and opset 17: old enough for every runtime in use; onnxruntime's own operators are version 1. */
const IR_VERSION = 8;
const OPSET = 17;

/** Rows that attention puts behind those of a call; buffers of state need as many to spare. */
const PADDING_ROWS = 1;

export interface BuildOptions {
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface BuiltModel {
  readonly model: OnnxModel;
  /** What each input means that follows from the position. */
  readonly feeds: readonly StepFeed[];
  /**
   * All state: float32 `[1, kvHeads, capacity, headDim]`, rows along axis 2, may be written in place. The
   * capacity is at least one row more than the positions behind the call.
   */
  readonly growth: 'shared';
  readonly states: readonly { readonly input: string; readonly output: string; readonly axis: 2 }[];
}

/**
 * Weights are read one layer after the other, so that at most one layer is held in float32 beside the
 * result. Throws what `read` throws, `bad-model` for weights that are not finite or do not fit the
 * config, `aborted`.
 */
export async function buildLlama(
  config: LlamaConfig,
  read: ReadTensor,
  options: BuildOptions = {},
): Promise<BuiltModel> {
  const parts = new GraphParts();
  const { tokens, last, total, picked, logits } = LLAMA_NAMES;
  const { vocabulary, layers, contextLength, ropeDim } = config;
  options.onProgress?.('writing the embedding');
  const weights = new LlamaWeights(config, read);
  const table = vocabularyWeight(parts, config, 'token_embd.weight', await weights.embedding());
  let residual = addEmbedding(parts, table, tokens);
  const positions = contextLength + PADDING_ROWS;
  const tables = ropeTables(config, positions);
  const dims = [positions, ropeDim / 2];
  const padding = parts.constant('attn.padding_rows', [], () => Int32Array.of(PADDING_ROWS));
  const inputs = {
    last: parts.add('Add', [last, padding], 'attn.last'),
    total: parts.add('Add', [total, padding], 'attn.total'),
    cos: parts.constant('rope.cos', dims, () => tables.cos),
    sin: parts.constant('rope.sin', dims, () => tables.sin),
  };
  for (let layer = 0; layer < layers; layer += 1) {
    throwIfAborted(options.signal);
    options.onProgress?.(`writing layer ${layer + 1} of ${layers}`);
    residual = await addLayer(parts, config, weights, layer, residual, inputs);
  }
  options.onProgress?.('writing the head');
  const wanted = parts.add('Gather', [residual, picked], 'head.rows', { axis: 1 });
  const normed = norm(parts, config, wanted, 'head.normed');
  if (config.tiedHead) {
    const scaled = scaleTurned(parts, normed, weights.rotation, await weights.outputGain());
    product(parts, quantiseRows(parts, scaled, 'head.in'), table, logits);
  } else {
    const head = vocabularyWeight(parts, config, 'output.weight', await weights.head());
    product(parts, quantiseRows(parts, normed, 'head.in'), head, logits);
  }
  return {
    model: {
      irVersion: IR_VERSION,
      opsets: [
        { domain: '', version: OPSET },
        { domain: ORT_DOMAIN, version: 1 },
      ],
      graph: {
        name: 'decoder',
        nodes: parts.nodes,
        initializers: [...parts.initializers.values()],
        inputs: [
          graphValue(tokens, 'int64', [1, 'rows']),
          graphValue(last, 'int32', [1]),
          graphValue(total, 'int32', []),
          graphValue(picked, 'int64', ['picked']),
          ...stateValues(config, 'past'),
        ],
        outputs: [
          graphValue(logits, 'float32', [1, 'picked', vocabulary]),
          ...stateValues(config, 'present'),
        ],
        hasSparse: false,
      },
      rest: [],
    },
    feeds: [
      { input: last, kind: 'last', dtype: 'int32', rank: 1 },
      { input: total, kind: 'total', dtype: 'int32', rank: 0 },
      { input: picked, kind: 'picked', dtype: 'int64', rank: 1 },
    ],
    growth: 'shared',
    states: Array.from({ length: layers }, (_, layer) => layerState(layer)).flatMap((state) => [
      { input: state.pastKey, output: state.presentKey, axis: 2 } as const,
      { input: state.pastValue, output: state.presentValue, axis: 2 } as const,
    ]),
  };
}

type VocabularyWeight = ReturnType<typeof addWeight>;

/**
 * Embedded tokens, float32 `[1, rows, hidden]`. The table is `[hidden, vocabulary]` in 8 bits with a
 * scale for each token: a tied head then uses the same bytes.
 */
function addEmbedding(parts: GraphParts, table: VocabularyWeight, tokens: string): string {
  const columns = parts.add('Gather', [table.data, tokens], 'embed.columns', { axis: 1 });
  const turned = parts.add('Transpose', [columns], 'embed.turned', { perm: [1, 2, 0] });
  const values = parts.add('Cast', [turned], 'embed.values', { to: 1 });
  const last = parts.constant('embed.last_axis', [1], () => BigInt64Array.of(-1n));
  const scales = parts.add('Gather', [table.scales, tokens], 'embed.scales');
  const scale = parts.add('Unsqueeze', [scales, last], 'embed.scale');
  return parts.add('Mul', [values, scale], 'embed.residual');
}

function vocabularyWeight(
  parts: GraphParts,
  { hidden, vocabulary }: LlamaConfig,
  name: string,
  rows: Float32Array,
): VocabularyWeight {
  return addWeight(parts, name, hidden, vocabulary, () => quantiseColumns(rows, vocabulary, hidden));
}

function stateValues(config: LlamaConfig, which: 'past' | 'present'): OnnxValue[] {
  const { kvHeads, headDim, layers } = config;
  return Array.from({ length: layers }, (_, layer) => layerState(layer)).flatMap((state) => {
    const names =
      which === 'past' ? [state.pastKey, state.pastValue] : [state.presentKey, state.presentValue];
    return names.map((name) => graphValue(name, 'float32', [1, kvHeads, `${which}_capacity`, headDim]));
  });
}
