/** A stream of text that is also an async iterable and knows its result. */
import { type IsthmusError, toIsthmusError } from '../../errors.ts';
import type { TextResult, TextStream } from '../../session/text/types.ts';

type Work = (emit: (text: string) => void, signal: AbortSignal) => Promise<TextResult>;

/** Begins `work` at once. Cancelling the stream, or leaving a loop over it, aborts the work. */
export function textStream(outer: AbortSignal | undefined, work: Work): TextStream {
  const abort = new AbortController();
  const stop = (): void => abort.abort(outer?.reason);
  if (outer?.aborted === true) stop();
  outer?.addEventListener('abort', stop, { once: true });
  let settle: { resolve: (result: TextResult) => void; reject: (error: IsthmusError) => void } | undefined;
  const result = new Promise<TextResult>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Who reads the stream alone learns of a failure there.
  result.catch(() => undefined);
  const stream = new ReadableStream<string>({
    start(controller) {
      let open = true;
      const emit = (text: string): void => {
        if (open && !abort.signal.aborted) controller.enqueue(text);
      };
      void (async () => {
        try {
          const done = await work(emit, abort.signal);
          settle?.resolve(done);
          open = false;
          if (!abort.signal.aborted) controller.close();
        } catch (thrown) {
          const error = toIsthmusError(thrown);
          settle?.reject(error);
          open = false;
          controller.error(error);
        } finally {
          outer?.removeEventListener('abort', stop);
        }
      })();
    },
    cancel(reason) {
      abort.abort(reason);
    },
  });
  return Object.assign(iterable(stream), { result });
}

/** Safari's streams are no async iterables yet. */
function iterable(stream: ReadableStream<string>): ReadableStream<string> & AsyncIterable<string> {
  if (Symbol.asyncIterator in stream) return stream as ReadableStream<string> & AsyncIterable<string>;
  return Object.assign(stream, {
    async *[Symbol.asyncIterator](this: ReadableStream<string>): AsyncGenerator<string> {
      const reader = this.getReader();
      let isDone = false;
      try {
        for (;;) {
          const { done, value } = await reader.read();
          isDone = done;
          if (done) return;
          yield value;
        }
      } finally {
        if (!isDone) await reader.cancel();
        reader.releaseLock();
      }
    },
  });
}
