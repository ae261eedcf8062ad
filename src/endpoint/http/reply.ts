/** Answers that are made in memory. A `HEAD` gets the headers that a `GET` would get. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toIsthmusError } from '../../errors.ts';
import { errorBody, statusOf } from '../../protocol/http-errors.ts';
import { JSON_CONTENT_TYPE } from '../../protocol/infer-body.ts';
import { OPEN_REQUESTS } from '../service.ts';

/** One request and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Decoded, without the query. */
  readonly path: readonly string[];
}

export interface Reply {
  readonly status?: number;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export function reply(
  { request, response }: Exchange,
  { status = 200, type, headers = {}, body }: Reply,
): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  response.writeHead(status, { ...headers, 'Content-Type': type, 'Content-Length': bytes.byteLength });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

export function replyJson(exchange: Exchange, value: unknown, status = 200): void {
  reply(exchange, {
    status,
    type: JSON_CONTENT_TYPE,
    headers: { 'Cache-Control': 'no-store' },
    body: JSON.stringify(value),
  });
}

/** Too many requests is a state of the endpoint, not a fault of the one that is refused. */
const TOO_MANY_REQUESTS = 429;

export function replyError(exchange: Exchange, thrown: unknown, status?: number): void {
  const { request, response } = exchange;
  if (response.headersSent) {
    // Half an answer cannot be taken back; a broken connection at least is not taken for the whole.
    response.destroy();
    return;
  }
  const error = toIsthmusError(thrown, 'endpoint-failed');
  const isFull = error.code === 'limit-exceeded' && error.details.what === OPEN_REQUESTS;
  reply(exchange, {
    status: status ?? (isFull ? TOO_MANY_REQUESTS : statusOf(error.code)),
    type: JSON_CONTENT_TYPE,
    headers: {
      'Cache-Control': 'no-store',
      ...(isFull ? { 'Retry-After': '1' } : {}),
      // What is left of a body that was refused would be read as the next request.
      ...(request.complete ? {} : { Connection: 'close' }),
    },
    body: errorBody(error),
  });
}

/** Something that is not there and is no model. */
export function replyNotFound(exchange: Exchange): void {
  replyJson(exchange, { error: 'there is nothing at this address' }, 404);
}
