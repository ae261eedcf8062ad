/** One GET to a hub: redirects followed by hand, waits that it asks for, and a watch for dead links. */
import { throwIfAborted } from '../../../errors.ts';
import type { HubAccess } from './access.ts';
import { LinkError, statusError, strangeAnswer, unreachable } from './hub-errors.ts';

/** The hub needs two: to a renamed repository and to its CDN. */
const MAX_REDIRECTS = 8;

/** How often a `Retry-After` is heeded for one request, and how long at most, in ms. */
const MAX_WAITS = 3;
const MAX_WAIT_MS = 60_000;
/** Where the hub names no time. */
const DEFAULT_WAIT_MS = 2000;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export interface HubAnswer {
  readonly status: number;
  /** Of the last answer, and those of redirects where the last one is silent (`x-linked-etag` is there). */
  readonly header: (name: string) => string | null;
  /** Of the last answer alone: what its server compares `If-Range` with. */
  readonly etag: string | null;
  /** Pieces of the body as they come. Throws `LinkError` when the link ends or stalls. */
  readonly body: () => AsyncGenerator<Uint8Array, void, undefined>;
  /** Ends the connection; needed when the body is not read to its end. */
  readonly close: () => void;
}

/**
 * Answers of 2xx and 416 are handed over, others become errors. `what` names the thing asked for.
 * @throws IsthmusError `bad-option` (401, 403, 404), `endpoint-failed` (429, 5xx), `endpoint-lost`, `aborted`
 */
export async function ask(
  access: HubAccess,
  url: string,
  what: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<HubAnswer> {
  for (let waits = 0; ; waits += 1) {
    const answer = await follow(access, url, what, headers);
    if (answer.ok || answer.status === 416) return answer;
    answer.close();
    const wait = waitOf(answer);
    if (wait === undefined || wait > MAX_WAIT_MS || waits === MAX_WAITS) {
      throw statusError(access, what, answer.status, answer.headers);
    }
    access.notice(`the hub is busy (${answer.status}); trying again in ${Math.ceil(wait / 1000)} s`);
    await access.wait(wait);
    throwIfAborted(access.signal);
  }
}

interface Followed extends HubAnswer {
  readonly ok: boolean;
  readonly headers: Headers;
}

async function follow(
  access: HubAccess,
  first: string,
  what: string,
  headers: Readonly<Record<string, string>>,
): Promise<Followed> {
  const watch = watchLink(access);
  const passed: Headers[] = [];
  let url = new URL(first);
  const home = url.origin;
  try {
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const response = await watch.within(
        access.fetch(url, {
          // By hand: the token stays with the hub, and the hash of the file is in the redirect's headers.
          redirect: 'manual',
          signal: watch.signal,
          headers: {
            'accept-encoding': 'identity',
            'user-agent': 'isthmus',
            ...headers,
            ...(access.token !== undefined &&
              url.origin === home && { authorization: `Bearer ${access.token}` }),
          },
        }),
      );
      passed.unshift(response.headers);
      const next = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
      if (next === null) return { ...answerOf(response, passed, watch), ok: response.ok };
      await response.body?.cancel();
      url = new URL(next, url);
      if (!/^https?:$/.test(url.protocol)) throw strangeAnswer(access, what, `it leads to ${url.protocol}`);
    }
    throw strangeAnswer(access, what, `more than ${MAX_REDIRECTS} redirects`);
  } catch (error) {
    watch.end();
    throwIfAborted(access.signal);
    throw error instanceof LinkError ? unreachable(access, what, error) : error;
  }
}

function answerOf(response: Response, passed: readonly Headers[], watch: Watch): Omit<Followed, 'ok'> {
  return {
    status: response.status,
    headers: response.headers,
    etag: response.headers.get('etag'),
    header: (name) => passed.map((headers) => headers.get(name)).find((value) => value !== null) ?? null,
    close: watch.end,
    async *body() {
      const reader = response.body?.getReader();
      try {
        for (;;) {
          const piece = reader ? await watch.within(reader.read()) : { done: true, value: undefined };
          if (piece.done || piece.value === undefined) return;
          yield piece.value;
        }
      } finally {
        watch.end();
      }
    },
  };
}

/** Ms that a busy hub asks for; `undefined` for answers that waiting does not change. */
function waitOf({ status, headers }: Followed): number | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const asked = headers.get('retry-after');
  if (asked === null) return DEFAULT_WAIT_MS;
  const seconds = Number(asked);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  const date = Date.parse(asked);
  return Number.isNaN(date) ? DEFAULT_WAIT_MS : Math.max(0, date - Date.now());
}

interface Watch {
  readonly signal: AbortSignal;
  readonly within: <T>(work: Promise<T>) => Promise<T>;
  readonly end: () => void;
}

/** Ends the connection when it is aborted, finished with, or gives no sign for `stallMs`. */
function watchLink(access: HubAccess): Watch {
  const controller = new AbortController();
  const signal =
    access.signal === undefined ? controller.signal : AbortSignal.any([access.signal, controller.signal]);
  return {
    signal,
    end: () => controller.abort(),
    async within(work) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const stalled = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new LinkError(`no byte came for ${access.stallMs} ms`)),
          access.stallMs,
        );
      });
      try {
        return await Promise.race([work, stalled]);
      } catch (cause) {
        if (cause instanceof LinkError) throw cause;
        throw new LinkError(`the connection failed (${reasonOf(cause)})`, { cause });
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message;
  return String(cause);
}
