/** Tiny language models as the files that their makers publish. */

import type { OnnxModel } from '../../src/graph/onnx-types.ts';
import { writeModel } from '../../src/graph/onnx-write.ts';
import { plainForm } from '../fixtures/llm-forms.ts';
import { tinyConfig, tinyWeights } from '../fixtures/tiny-llama.ts';
import { BYTE_TEXTS } from '../package/gguf/byte-texts.ts';

export const TEMPLATE = '{% for message in messages %}{{ message.content }}{% endfor %}';

/** Every byte, and the tokens that begin and end a text behind them. */
export const WORDS = [...BYTE_TEXTS, '<|begin|>', '<|end|>'];
export const BEGIN = WORDS.indexOf('<|begin|>');
export const END = WORDS.indexOf('<|end|>');

type Value = string | number | boolean | readonly string[] | readonly number[];

export interface TinyGguf {
  readonly architecture?: string;
  /** ggml's number of the type of every tensor; the bytes are those of float32. */
  readonly tensorType?: number;
  readonly metadata?: Readonly<Record<string, Value>>;
}

export async function tinyGguf(options: TinyGguf = {}): Promise<Uint8Array> {
  const config = { ...tinyConfig('llama'), vocabulary: WORDS.length };
  const { architecture = 'llama', tensorType = 0 } = options;
  const read = tinyWeights(config);
  const { hidden, ffn, heads, kvHeads, headDim, vocabulary } = config;
  const shapes: Record<string, readonly number[]> = {
    'token_embd.weight': [hidden, vocabulary],
    'output_norm.weight': [hidden],
  };
  for (let layer = 0; layer < config.layers; layer += 1) {
    Object.assign(shapes, {
      [`blk.${layer}.attn_norm.weight`]: [hidden],
      [`blk.${layer}.attn_q.weight`]: [hidden, heads * headDim],
      [`blk.${layer}.attn_k.weight`]: [hidden, kvHeads * headDim],
      [`blk.${layer}.attn_v.weight`]: [hidden, kvHeads * headDim],
      [`blk.${layer}.attn_output.weight`]: [heads * headDim, hidden],
      [`blk.${layer}.ffn_norm.weight`]: [hidden],
      [`blk.${layer}.ffn_gate.weight`]: [hidden, ffn],
      [`blk.${layer}.ffn_up.weight`]: [hidden, ffn],
      [`blk.${layer}.ffn_down.weight`]: [ffn, hidden],
    });
  }
  const metadata: Record<string, Value> = {
    'general.architecture': architecture,
    [`${architecture}.block_count`]: config.layers,
    [`${architecture}.context_length`]: config.contextLength,
    [`${architecture}.embedding_length`]: hidden,
    [`${architecture}.feed_forward_length`]: ffn,
    [`${architecture}.attention.head_count`]: heads,
    [`${architecture}.attention.head_count_kv`]: kvHeads,
    [`${architecture}.attention.layer_norm_rms_epsilon`]: 0.00001,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.tokens': WORDS,
    'tokenizer.ggml.token_type': WORDS.map((_, id) => (id < 256 ? 1 : 3)),
    'tokenizer.ggml.merges': [] as readonly string[],
    'tokenizer.ggml.bos_token_id': BEGIN,
    'tokenizer.ggml.eos_token_id': END,
    'tokenizer.chat_template': TEMPLATE,
    ...options.metadata,
  };
  const out = new Writer();
  out.u32(0x46554747);
  out.u32(3);
  out.u64(Object.keys(shapes).length);
  out.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) out.entry(key, value);
  let offset = 0;
  for (const [name, dims] of Object.entries(shapes)) {
    out.text(name);
    out.u32(dims.length);
    for (const dim of dims) out.u64(dim);
    out.u32(tensorType);
    out.u64(offset);
    offset += 4 * dims.reduce((product, dim) => product * dim, 1);
  }
  out.align(32);
  for (const name of Object.keys(shapes)) out.bytes(new Uint8Array((await read(name)).buffer));
  return out.finish();
}

/** Little-endian GGUF fields, one after the other. */
class Writer {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  bytes(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.byteLength;
  }

  #number(size: number, put: (view: DataView) => void): void {
    const view = new DataView(new ArrayBuffer(size));
    put(view);
    this.bytes(new Uint8Array(view.buffer));
  }

  u32(value: number): void {
    this.#number(4, (view) => view.setUint32(0, value, true));
  }

  u64(value: number): void {
    this.#number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }

  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.byteLength);
    this.bytes(bytes);
  }

  entry(key: string, value: Value): void {
    this.text(key);
    if (typeof value === 'object') {
      const isText = typeof value[0] !== 'number';
      this.u32(9);
      this.u32(isText ? 8 : 4);
      this.u64(value.length);
      for (const item of value) {
        if (typeof item === 'number') this.u32(item);
        else this.text(item);
      }
    } else if (typeof value === 'string') {
      this.u32(8);
      this.text(value);
    } else if (typeof value === 'boolean') {
      this.u32(7);
      this.bytes(Uint8Array.of(value ? 1 : 0));
    } else if (Number.isInteger(value)) {
      this.u32(4);
      this.u32(value);
    } else {
      this.u32(6);
      this.#number(4, (view) => view.setFloat32(0, value, true));
    }
  }

  align(to: number): void {
    this.bytes(new Uint8Array((to - (this.#length % to)) % to));
  }

  finish(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}

/** A repository in the layout of onnx-community: float weights inside, and a variant with its data beside. */
export function tinyOnnxFiles(): Record<string, Uint8Array | string> {
  const model = plainForm();
  const { graph, data } = withDataFile(model, 'model_q4.onnx_data');
  const half = Math.floor(data.byteLength / 2);
  return {
    'README.md': '# tiny',
    'model.safetensors': new Uint8Array(4000),
    'config.json': JSON.stringify({
      model_type: 'llama',
      max_position_embeddings: 64,
      bos_token_id: 5,
      eos_token_id: 6,
    }),
    'generation_config.json': JSON.stringify({
      eos_token_id: [6, 7],
      do_sample: true,
      temperature: 0.6,
      top_p: 0.9,
    }),
    'tokenizer.json': JSON.stringify({
      version: '1.0',
      added_tokens: [{ id: 8, content: '<|end|>', special: true }],
      model: { type: 'BPE', vocab: {}, merges: [] },
    }),
    'tokenizer_config.json': JSON.stringify({
      bos_token: '<s>',
      eos_token: { content: '<|end|>', lstrip: false },
      chat_template: 'old',
    }),
    'chat_template.jinja': TEMPLATE,
    'onnx/model.onnx': writeModel(model),
    'onnx/model_q4.onnx': writeModel(graph),
    'onnx/model_q4.onnx_data': data,
    'onnx/model_fp16.onnx': new Uint8Array(half),
  };
}

/** All weights in one file beside the graph. */
function withDataFile(model: OnnxModel, location: string): { graph: OnnxModel; data: Uint8Array } {
  const parts: Uint8Array[] = [];
  let offset = 0;
  const initializers = model.graph.initializers.map((tensor) => {
    const { data, ...rest } = tensor;
    if (data === undefined || data.byteLength < 256) return tensor;
    const external = { location, offset, length: data.byteLength };
    parts.push(data);
    offset += data.byteLength;
    return { ...rest, external };
  });
  return {
    graph: { ...model, graph: { ...model.graph, initializers } },
    data: new Uint8Array(Buffer.concat(parts)),
  };
}
