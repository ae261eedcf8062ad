/** The page's side of the worker that runs the original files. One call at a time. */
import type { DirectOpen, DirectReply, DirectRequest, DirectResult } from './direct-messages.ts';

export class Direct {
  readonly #worker = new Worker(new URL('./direct-worker.ts', import.meta.url), { type: 'module' });

  /** Resolves with the number of threads in use. */
  async open(open: DirectOpen): Promise<number> {
    const reply = await this.#ask({ type: 'open', ...open });
    if (reply.type !== 'opened') throw new Error(`the direct worker answered '${reply.type}'`);
    return reply.threads;
  }

  async run(samples: Float32Array, maxTokens: number): Promise<DirectResult> {
    const reply = await this.#ask({ type: 'run', samples, maxTokens });
    if (reply.type !== 'result') throw new Error(`the direct worker answered '${reply.type}'`);
    return reply;
  }

  close(): void {
    this.#worker.terminate();
  }

  #ask(request: DirectRequest): Promise<DirectReply> {
    return new Promise((resolve, reject) => {
      this.#worker.onerror = (event) => reject(new Error(event.message));
      this.#worker.onmessage = ({ data }: MessageEvent<DirectReply>) =>
        data.type === 'failed' ? reject(new Error(data.message)) : resolve(data);
      this.#worker.postMessage(request);
    });
  }
}
