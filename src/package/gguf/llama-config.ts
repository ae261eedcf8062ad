/** What the graph builder must know of a model of the llama or qwen2 family; all of it is in the file. */

export interface LlamaConfig {
  readonly layers: number;
  /** Attention heads that ask. */
  readonly heads: number;
  /** Heads of keys and values; divides `heads`. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width of the residual stream. */
  readonly hidden: number;
  /** Width of the feed-forward part. */
  readonly ffn: number;
  readonly vocabulary: number;
  readonly rmsEpsilon: number;
  readonly ropeTheta: number;
  /** Axes of each head that turn with the position; even, at most `headDim`. */
  readonly ropeDim: number;
  /** Positions that the model was made for. */
  readonly contextLength: number;
  /** The head's matrix is the embedding's. */
  readonly tiedHead: boolean;
  /** Queries, keys and values have a bias (qwen2). */
  readonly qkvBias: boolean;
  /**
   * Axes turn in pairs `(2j, 2j+1)`, as llama.cpp stores the llama family; otherwise in pairs
   * `(j, j + ropeDim/2)`.
   */
  readonly ropeInterleaved: boolean;
  /** Each pair's frequency is divided by its factor, `[ropeDim / 2]` (Llama 3's long contexts). */
  readonly ropeFactors?: readonly number[];
}

/**
 * A tensor's elements as float32 by its name in GGUF (`blk.0.attn_q.weight`). Matrices are row-major
 * `[out, in]`, which GGUF's header gives as dimensions `[in, out]`. Each call gives a fresh array, which the
 * caller may write to.
 */
export type ReadTensor = (name: string) => Promise<Float32Array>;
