/** The page's side of the worker that runs transformers.js. One call at a time. */
import type { Contender, TextOpen } from './text-contender.ts';
import type { TransformersReply, TransformersRequest } from './text-transformers-worker.ts';

export async function openTransformers(options: TextOpen): Promise<Contender> {
  const worker = new Worker(new URL('./text-transformers-worker.ts', import.meta.url), { type: 'module' });
  const ask = (request: TransformersRequest): Promise<TransformersReply> =>
    new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message));
      worker.onmessage = ({ data }: MessageEvent<TransformersReply>) =>
        data.type === 'failed' ? reject(new Error(data.message)) : resolve(data);
      worker.postMessage(request);
    });
  await ask({ type: 'open', options });
  return {
    async run({ tokens }, maxTokens) {
      const reply = await ask({ type: 'run', tokens, maxTokens });
      if (reply.type !== 'result') throw new Error(`the worker answered '${reply.type}'`);
      return reply.answer;
    },
  };
}
