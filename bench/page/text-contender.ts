/** What every contender of the text bench can do. */

export interface TextOpen {
  /** WASM threads. */
  readonly threads: number;
  /** Positions that a prompt and its answer take at most. */
  readonly context: number;
  readonly packageUrl: string;
  /** The same weights as the package, for those that read them otherwise. */
  readonly ggufUrl: string;
  readonly modelsUrl: string;
  readonly modelName: string;
  readonly wllamaWasmUrl: string;
  /** onnxruntime-web's files as transformers.js asks for them. */
  readonly ortMjsUrl: string;
  readonly ortWasmUrl: string;
}

export interface Prompt {
  readonly text: string;
  readonly tokens: readonly number[];
}

export interface TextAnswer {
  /** When the call was made, ms since 1970. */
  readonly startedAt: number;
  /** Ms from the call to the first token and to the last one. */
  readonly firstMs: number;
  readonly totalMs: number;
  readonly newTokens: number;
  /** Beginning of the answer, to see that it is one: token ids or text. */
  readonly answer: readonly number[] | string;
  /** The contender's own account of the same time, where it gives one. */
  readonly own?: { readonly prefillMs: number; readonly decodeMs: number };
}

export interface Contender {
  /** Greedy, `maxTokens` long whatever the model says, with nothing kept from earlier prompts. */
  run(prompt: Prompt, maxTokens: number): Promise<TextAnswer>;
}

/** Notes when tokens come. */
export class Stopwatch {
  readonly #started = performance.now();
  #first: number | undefined;
  #last = 0;

  token(): void {
    this.#last = performance.now() - this.#started;
    this.#first ??= this.#last;
  }

  get times(): Pick<TextAnswer, 'startedAt' | 'firstMs' | 'totalMs'> {
    if (this.#first === undefined) throw new Error('no token came');
    const startedAt = performance.timeOrigin + this.#started;
    return { startedAt, firstMs: this.#first, totalMs: this.#last };
  }
}
