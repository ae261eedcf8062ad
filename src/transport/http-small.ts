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
  /** Default `omit`, which is nobody's; browsers keep connections for it apart from all others. */
  readonly credentials?: RequestCredentials;
  /** Bytes of the answer. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/**
 * The body of the answer. No cookies unless asked for, no referrer, no cache: two cannot be told to be from one sender.
 * Throws `aborted`, `endpoint-lost`, `limit-exceeded` for a longer answer, and what the endpoint answered with.
 */
export async function exchangeSmall(
  url: string,
  { fetch: send, body, type = JSON_CONTENT_TYPE, credentials = 'omit', limit, signal }: SmallExchange,
): Promise<Uint8Array> {
  throwIfAborted(signal);
  try {
    const response = await send(url, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body, headers: { 'Content-Type': type } }),
      credentials,
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
