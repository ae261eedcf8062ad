/** Asks for a shard from an offset on and hands over its bytes as they come. */
import { throwIfAborted, toIsthmusError } from '../errors.ts';
import { letGo } from './let-go.ts';
import { linkLost, readAnswer, type ShardRequest, wrongLength } from './shard-response.ts';

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface BodySink {
  /** The offset at which the body begins: the one asked for, or 0 from a server without ranges. */
  begin(from: number): Promise<void>;
  /** The chunk is freed when this resolves. */
  write(chunk: Uint8Array): Promise<void>;
}

export interface BodyOptions {
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
  /** Ms without a byte after which the link counts as lost: a dead radio link reports nothing itself. */
  readonly stallMs: number;
}

/**
 * `complete` when exactly the shard's bytes came, `restart` when the server refuses the range. Throws
 * `missing-shard`, `endpoint-lost`, `endpoint-failed`, `aborted`; what the sink got by then is good.
 */
export async function receiveBody(
  request: ShardRequest,
  sink: BodySink,
  options: BodyOptions,
): Promise<'complete' | 'restart'> {
  const watch = watchLink(options.signal, options.stallMs);
  let at = request.from;
  try {
    const response = await watch.within(
      options.fetch(request.url, {
        signal: watch.signal,
        // The bytes are kept by the store; the HTTP cache would only hold them twice.
        cache: 'no-store',
        ...(at > 0 && { headers: { range: `bytes=${at}-` } }),
      }),
    );
    const answer = readAnswer(request, response.status, response.headers);
    if (answer.kind === 'restart') return 'restart';
    at = answer.from;
    await sink.begin(at);
    const reader = response.body?.getReader();
    for (;;) {
      const { done, value } = reader ? await watch.within(reader.read()) : { done: true, value: undefined };
      if (done || !value) break;
      if (at + value.byteLength > request.shard.bytes) throw wrongLength(request, undefined);
      at += value.byteLength;
      await sink.write(value);
      letGo(value);
      throwIfAborted(options.signal);
    }
    if (at < request.shard.bytes) throw short(request, response, answer.from, at);
    return 'complete';
  } catch (error) {
    throwIfAborted(options.signal);
    if (error instanceof LinkError) throw linkLost(request, at, error.message, error.cause);
    throw toIsthmusError(error);
  } finally {
    watch.end();
  }
}

/** A body that ended early although the server announced more was cut off; else the file is another. */
function short(request: ShardRequest, response: Response, from: number, at: number): Error {
  const announced = response.headers.get('content-length');
  if (announced !== null && at - from < Number(announced))
    return linkLost(request, at, 'the body was cut off');
  return wrongLength(request, at);
}

/** A failure of fetch or of the body's stream, told apart from failures of our own. */
class LinkError extends Error {}

/** Cancels the transfer when it ends for any reason, is aborted, or gives no sign for `stallMs`. */
function watchLink(outer: AbortSignal, stallMs: number) {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(outer.reason);
  outer.addEventListener('abort', onAbort);
  if (outer.aborted) onAbort();
  return {
    signal: controller.signal,
    async within<T>(work: Promise<T>): Promise<T> {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const stalled = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new LinkError(`no byte came for ${stallMs} ms`)), stallMs);
      });
      try {
        return await Promise.race([work, stalled]);
      } catch (cause) {
        if (cause instanceof LinkError) throw cause;
        throw new LinkError('the connection failed', { cause });
      } finally {
        clearTimeout(timer);
      }
    },
    end(): void {
      outer.removeEventListener('abort', onAbort);
      controller.abort();
    },
  };
}
