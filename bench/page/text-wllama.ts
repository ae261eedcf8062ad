/** wllama on the GGUF that the package was made from; CPU alone, all else as it comes. */
import * as wllamaModule from '@wllama/wllama/esm/index.js';
import { type Contender, Stopwatch, type TextOpen } from './text-contender.ts';

/** Its declarations leave out the endings of files, which this project's resolution asks for. */
const { Wllama, LoggerWithoutDebug } = wllamaModule as unknown as {
  readonly LoggerWithoutDebug: object;
  readonly Wllama: new (paths: { readonly default: string }, config: object) => WllamaInstance;
};

interface WllamaInstance {
  loadModel(files: readonly Blob[], params: object): Promise<void>;
  getNumThreads(): number;
  createCompletion(params: object): Promise<void>;
}

interface Chunk {
  readonly choices: readonly { readonly text: string }[];
  /** With the last chunk. */
  readonly timings?: {
    readonly prompt_n: number;
    readonly prompt_ms: number;
    readonly predicted_n: number;
    readonly predicted_ms: number;
  };
}

export async function openWllama(options: TextOpen): Promise<Contender> {
  const { ggufUrl, wllamaWasmUrl, threads, context } = options;
  const wllama = new Wllama({ default: wllamaWasmUrl }, { logger: LoggerWithoutDebug });
  const file = await (await fetch(ggufUrl)).blob();
  await wllama.loadModel([file], { n_ctx: context, n_threads: threads, n_gpu_layers: 0, n_parallel: 1 });
  if (wllama.getNumThreads() !== threads) {
    throw new Error(`wllama: asked for ${threads} threads, got ${wllama.getNumThreads()}`);
  }
  return {
    async run({ text: prompt, tokens }, maxTokens) {
      const watch = new Stopwatch();
      let answer = '';
      let last: Chunk | undefined;
      await wllama.createCompletion({
        prompt,
        max_tokens: maxTokens,
        temperature: 0,
        top_k: 1,
        ignore_eos: true,
        cache_prompt: false,
        stream: true,
        onData: (chunk: Chunk) => {
          const piece = chunk.choices[0]?.text ?? '';
          // The closing chunk has no text.
          if (piece !== '') watch.token();
          answer += piece;
          last = chunk;
        },
      });
      const timings = last?.timings;
      if (timings === undefined) throw new Error('wllama gave no account of its time');
      if (timings.prompt_n !== tokens.length) {
        throw new Error(`wllama ran ${timings.prompt_n} of ${tokens.length} tokens of the prompt`);
      }
      return {
        ...watch.times,
        newTokens: timings.predicted_n,
        answer,
        own: { prefillMs: timings.prompt_ms, decodeMs: timings.predicted_ms },
      };
    },
  };
}
