/** What an answer to a request for (the rest of) a shard means; pure. */
import { IsthmusError } from '../errors.ts';

/** Content by its hash: what every file of a package is known by. */
export interface ShardId {
  /** Lower-case hex SHA-256. */
  readonly sha256: string;
  readonly bytes: number;
}

/** The request that was answered: `from` is the offset that the range asked for, 0 for no range. */
export interface ShardRequest {
  readonly url: string;
  readonly shard: ShardId;
  readonly from: number;
}

export type ShardAnswer =
  /** The body holds the bytes from this offset on: the one asked for, or 0 from a server without ranges. */
  | { readonly kind: 'body'; readonly from: number }
  /** The server does not go along with the range: ask again from 0. */
  | { readonly kind: 'restart' };

/** Statuses that say "not now": a gateway without its server, overload, too many requests. */
const RETRY_LATER = [408, 425, 429, 502, 503, 504];

const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+|\*)$/;

/** Throws `missing-shard`, `endpoint-lost` or `endpoint-failed`. */
export function readAnswer(request: ShardRequest, status: number, headers: Headers): ShardAnswer {
  const { from, shard } = request;
  if (status === 200) return { kind: 'body', from: 0 };
  if (status === 206) {
    // Cross-origin answers hide this header unless the server exposes it; the hash then decides.
    const header = headers.get('content-range');
    if (header === null) return { kind: 'body', from };
    const [, start, , total] = CONTENT_RANGE.exec(header) ?? [];
    if (Number(start) !== from) {
      if (from === 0) throw missingShard(request, `the server answered with "${header}"`);
      return { kind: 'restart' };
    }
    if (total !== '*' && Number(total) !== shard.bytes) throw wrongLength(request, Number(total));
    return { kind: 'body', from };
  }
  if (status === 416 && from > 0) return { kind: 'restart' };
  if (RETRY_LATER.includes(status)) throw linkLost(request, from, `the server answered ${status}`);
  if (status >= 500) {
    throw new IsthmusError('endpoint-failed', `${shownUrl(request.url)}: the server answered ${status}`, {
      details: describe(request, { status }),
    });
  }
  throw missingShard(request, `the server answered ${status}`, { status });
}

export function missingShard(request: ShardRequest, why: string, more: object = {}): IsthmusError {
  return new IsthmusError('missing-shard', `${shownUrl(request.url)} is not there: ${why}`, {
    details: describe(request, more),
  });
}

/** What is at the URL is another file: typically a page that says so with status 200. */
export function wrongLength(request: ShardRequest, length: number | undefined): IsthmusError {
  const found = length === undefined ? 'more' : String(length);
  return missingShard(request, `it should have ${request.shard.bytes} bytes and has ${found}`, {
    ...(length !== undefined && { length }),
  });
}

/** `received` counts from the shard's start, bytes of earlier visits included. */
export function linkLost(
  request: ShardRequest,
  received: number,
  why: string,
  cause?: unknown,
): IsthmusError {
  const missing = request.shard.bytes - received;
  return new IsthmusError(
    'endpoint-lost',
    `${shownUrl(request.url)}: ${why}; ${missing} of ${request.shard.bytes} bytes are missing`,
    { details: describe(request, { received, missing }), cause },
  );
}

function describe({ url, shard }: ShardRequest, more: object): Readonly<Record<string, unknown>> {
  return { url: shownUrl(url), sha256: shard.sha256, bytes: shard.bytes, ...more };
}

/** Without the query and credentials: signed URLs carry secrets there, and errors are logged. */
function shownUrl(url: string): string {
  try {
    const { origin, pathname } = new URL(url);
    return origin === 'null' ? pathname : origin + pathname;
  } catch {
    return url.replace(/[?#].*$/s, '');
  }
}
