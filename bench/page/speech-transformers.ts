/** The page's side of the worker that runs transformers.js on speech. One call at a time. */
import type { SpeechOpen, SpeechReply, SpeechRequest } from './speech-transformers-worker.ts';

export class SpeechTransformers {
  readonly #worker = new Worker(new URL('./speech-transformers-worker.ts', import.meta.url), {
    type: 'module',
  });

  async open(options: SpeechOpen): Promise<void> {
    const absolute = (url: string): string => new URL(url, document.baseURI).href;
    await this.#ask({
      type: 'open',
      options: {
        ...options,
        modelsUrl: absolute(options.modelsUrl),
        ortMjsUrl: absolute(options.ortMjsUrl),
        ortWasmUrl: absolute(options.ortWasmUrl),
      },
    });
  }

  async run(samples: Float32Array, maxTokens: number): Promise<readonly number[]> {
    const reply = await this.#ask({ type: 'run', samples, maxTokens });
    if (reply.type !== 'result') throw new Error(`the worker answered '${reply.type}'`);
    return reply.tokens;
  }

  close(): void {
    this.#worker.terminate();
  }

  #ask(request: SpeechRequest): Promise<SpeechReply> {
    return new Promise((resolve, reject) => {
      this.#worker.onerror = (event) => reject(new Error(event.message));
      this.#worker.onmessage = ({ data }: MessageEvent<SpeechReply>) =>
        data.type === 'failed' ? reject(new Error(data.message)) : resolve(data);
      this.#worker.postMessage(request);
    });
  }
}
