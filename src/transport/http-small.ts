/** A small exchange over `fetch` that tells no more of its sender than the connection does. */
import { throwIfAborted, toIsthmusError } from '../errors.ts';
import { errorOfResponse } from '../protocol/http-errors.ts';
import { JSON_CONTENT_TYPE } from '../protocol/infer-body.ts';
import { readUpTo } from './http.ts';

export interface SmallExchange {
  readonly fetch: typeof fetch;
  /** JSON text to `POST`; without one it is a `GET`. */
  readonly body?: string;
  /** What the text is said to be. Default JSON. */
  readonly type?: string;
  /** Bytes of the answer. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/**
 * The body of the answer. No cookies, no referrer, no cache: two of them cannot be told to be from one sender.
 * Throws `aborted`, `endpoint-lost`, `limit-exceeded` for a longer answer, and what the endpoint answered with.
 */
export async function exchangeSmall(
  url: string,
  { fetch: send, body, type = JSON_CONTENT_TYPE, limit, signal }: SmallExchange,
): Promise<Uint8Array> {
  throwIfAborted(signal);
  try {
    const response = await send(url, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body, headers: { 'Content-Type': type } }),
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      cache: 'no-store',
      signal,
    });
    if (!response.ok) throw errorOfResponse(response.status, await readUpTo(response, limit, 'cut'));
    return await readUpTo(response, limit, 'refuse');
  } catch (error) {
    throwIfAborted(signal);
    throw toIsthmusError(error, 'endpoint-lost');
  }
}
