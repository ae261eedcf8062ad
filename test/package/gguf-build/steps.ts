/** A built model in onnxruntime-node, fed by hand: rows in any pieces, state in buffers of any room. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { writeModel } from '../../../src/graph/onnx-write.ts';
import { LLAMA_NAMES } from '../../../src/package/gguf/build-llama.ts';
import type { TinyLlama } from '../../fixtures/tiny-llama.ts';

type State = Record<string, Tensor>;

export class Steps {
  readonly #built: TinyLlama;
  readonly #session: InferenceSession;
  #state: State = {};

  private constructor(built: TinyLlama, session: InferenceSession) {
    this.#built = built;
    this.#session = session;
  }

  static async open(built: TinyLlama, threads = 1): Promise<Steps> {
    const session = await InferenceSession.create(writeModel(built.model), {
      intraOpNumThreads: threads,
      logSeverityLevel: 4,
      // Without it sums saturate on some machines; see `ort-node.ts`.
      extra: { session: { x64quantprecision: '1' } },
    });
    return new Steps(built, session);
  }

  /** Forgets everything; buffers then have room for `capacity` rows. */
  clear(capacity: number): void {
    const { states, config } = this.#built;
    const dims = [1, config.kvHeads, capacity, config.headDim];
    const count = dims.reduce((product, dim) => product * dim);
    this.#state = Object.fromEntries(
      states.map((state) => [state.input, new Tensor('float32', new Float32Array(count), dims)]),
    );
  }

  /** Scores of the last `picked` of the rows, `[picked, vocabulary]`; the state is written in place. */
  async run(tokens: readonly number[], position: number, picked = tokens.length): Promise<Float32Array> {
    const rows = tokens.length;
    const fetches: Record<string, Tensor | null> = { [LLAMA_NAMES.logits]: null };
    for (const { input, output } of this.#built.states) fetches[output] = this.#state[input] ?? null;
    const wanted = Array.from({ length: picked }, (_, index) => BigInt(rows - picked + index));
    const results = await this.#session.run(
      {
        ...this.#state,
        [LLAMA_NAMES.tokens]: new Tensor('int64', BigInt64Array.from(tokens, BigInt), [1, rows]),
        [LLAMA_NAMES.last]: new Tensor('int32', Int32Array.of(position + rows - 1), [1]),
        [LLAMA_NAMES.total]: new Tensor('int32', Int32Array.of(position + rows), []),
        [LLAMA_NAMES.picked]: new Tensor('int64', BigInt64Array.from(wanted), [picked]),
      },
      fetches,
    );
    return results[LLAMA_NAMES.logits]?.data as Float32Array;
  }

  /** Scores of all rows, run in pieces of these sizes. */
  async pieces(tokens: readonly number[], sizes: readonly number[], position = 0): Promise<Float32Array> {
    const scores = new Float32Array(tokens.length * this.#built.config.vocabulary);
    let done = 0;
    for (const size of sizes) {
      const piece = tokens.slice(done, done + size);
      if (piece.length === 0) break;
      scores.set(await this.run(piece, position + done), done * this.#built.config.vocabulary);
      done += piece.length;
    }
    return scores;
  }

  close(): Promise<void> {
    return this.#session.release();
  }
}
