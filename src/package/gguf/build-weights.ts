/**
 * The matrices of a model in the form in which its graph reads them, float32 `[columns, inner]`:
 * products with the same input joined, gains of norms multiplied in, the residual stream turned into a
 * basis without outliers (see `build-rotation.ts`), and heads in the axis order of the rotary operator.
 */
import { toHalfSplit } from './build-rope.ts';
import { butterflies, powerOfTwoIn, type Rotation, rotation } from './build-rotation.ts';
import type { LlamaConfig, ReadTensor } from './llama-config.ts';

/**
 * Elements of the feed-forward part that are mixed at run time before they are rounded; half the size
 * rounds notably worse, twice the size hardly better (docs/decisions/0005).
 */
const MAX_MIXED = 32;

export class LlamaWeights {
  readonly #config: LlamaConfig;
  readonly #read: ReadTensor;
  /** The basis of the residual stream. */
  readonly rotation: Rotation;
  /** Neighbouring elements of the feed-forward part that are mixed by a Hadamard matrix of this size. */
  readonly mixed: number;

  /** @param read gives fresh arrays: they are written to */
  constructor(config: LlamaConfig, read: ReadTensor) {
    this.#config = config;
    this.#read = read;
    this.rotation = rotation(config.hidden);
    // Half the width at most: of two groups and more a product takes the same kernel for any number of rows.
    this.mixed = powerOfTwoIn(config.ffn / 2, MAX_MIXED);
  }

  /** `[vocabulary, hidden]`, turned. A tied head reads the same. */
  async embedding(): Promise<Float32Array> {
    return this.#turnRows(await this.#read('token_embd.weight'));
  }

  /** `[vocabulary, hidden]` of a head of its own, the last norm's gain in it. */
  async head(): Promise<Float32Array> {
    return this.#into(await this.#read('output.weight'), await this.outputGain());
  }

  /** `[hidden]`: gain of the norm before the head, in the file's basis. */
  outputGain(): Promise<Float32Array> {
    return this.#read('output_norm.weight');
  }

  /** `[(heads + 2 kvHeads) * headDim, hidden]`: queries, keys, values. */
  async queryKeyValue(layer: number): Promise<Float32Array> {
    const name = `blk.${layer}.attn`;
    const { hidden } = this.#config;
    const rows = concatenate([
      toHalfSplit(await this.#read(`${name}_q.weight`), this.#config, hidden),
      toHalfSplit(await this.#read(`${name}_k.weight`), this.#config, hidden),
      await this.#read(`${name}_v.weight`),
    ]);
    return this.#into(rows, await this.#read(`${name}_norm.weight`));
  }

  /** `[(heads + 2 kvHeads) * headDim]`, or nothing for a model without biases. */
  async queryKeyValueBias(layer: number): Promise<Float32Array | undefined> {
    if (!this.#config.qkvBias) return undefined;
    const name = `blk.${layer}.attn`;
    return concatenate([
      toHalfSplit(await this.#read(`${name}_q.bias`), this.#config, 1),
      toHalfSplit(await this.#read(`${name}_k.bias`), this.#config, 1),
      await this.#read(`${name}_v.bias`),
    ]);
  }

  /** `[hidden, heads * headDim]` */
  async attentionOutput(layer: number): Promise<Float32Array> {
    return this.#outOf(await this.#read(`blk.${layer}.attn_output.weight`));
  }

  /** `[2 ffn, hidden]`: gate, then up. */
  async gateUp(layer: number): Promise<Float32Array> {
    const rows = concatenate([
      await this.#read(`blk.${layer}.ffn_gate.weight`),
      await this.#read(`blk.${layer}.ffn_up.weight`),
    ]);
    return this.#into(rows, await this.#read(`blk.${layer}.ffn_norm.weight`));
  }

  /** `[hidden, ffn]`, for an input whose elements were mixed. */
  async down(layer: number): Promise<Float32Array> {
    const rows = this.#outOf(await this.#read(`blk.${layer}.ffn_down.weight`));
    const table = new Float64Array(this.mixed);
    const scale = 1 / Math.sqrt(this.mixed);
    for (let from = 0; from < rows.length; from += this.mixed) {
      table.set(rows.subarray(from, from + this.mixed));
      butterflies(table, 1);
      for (const [index, value] of table.entries()) rows[from + index] = value * scale;
    }
    return rows;
  }

  /** Rows that read the normed stream: the norm's gain and the basis go into them. */
  #into(rows: Float32Array, gain: Float32Array): Float32Array {
    for (let index = 0; index < rows.length; index += 1) {
      rows[index] = (rows[index] ?? 0) * (gain[index % gain.length] ?? 0);
    }
    return this.#turnRows(rows);
  }

  #turnRows(rows: Float32Array): Float32Array {
    const { turn, size } = this.rotation;
    for (let from = 0; from < rows.length; from += size) turn(rows, from, 1);
    return rows;
  }

  /** Rows whose results are added to the stream. */
  #outOf(rows: Float32Array): Float32Array {
    const { turn, size } = this.rotation;
    const inner = rows.length / size;
    for (let column = 0; column < inner; column += 1) turn(rows, column, inner);
    return rows;
  }
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
