/** A package's manifest over HTTP: its bytes, bounded and as they came. */
import { IsthmusError, isIsthmusError, throwIfAborted } from '../errors.ts';
import type { Fetch } from '../storage/shard-body.ts';
import { MANIFEST_FILE } from './manifest.ts';
import { MAX_MANIFEST_BYTES } from './manifest-limits.ts';

export interface FetchManifestOptions {
  /** Default: the platform's. */
  readonly fetch?: Fetch;
  readonly signal?: AbortSignal;
}

/**
 * Absolute URL of the manifest of the package at `url`, which names the folder or the manifest itself
 * and may be relative to the page. Throws `bad-option`.
 */
export function manifestUrl(url: string): string {
  try {
    const absolute = new URL(url, globalThis.location?.href);
    if (!absolute.pathname.endsWith(`/${MANIFEST_FILE}`)) {
      absolute.pathname = `${absolute.pathname.replace(/\/$/, '')}/${MANIFEST_FILE}`;
    }
    absolute.hash = '';
    return absolute.href;
  } catch (cause) {
    throw new IsthmusError('bad-option', `${JSON.stringify(url)} is not a URL`, { cause });
  }
}

/**
 * Fetches the manifest at `url` (see `manifestUrl`), and looks at nothing in it. Throws `endpoint-lost`,
 * `endpoint-failed`, `bad-package` (there is none), `limit-exceeded`, `aborted`.
 */
export async function fetchManifestBytes(
  url: string,
  options: FetchManifestOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { signal, fetch = (address, init) => globalThis.fetch(address, init) } = options;
  throwIfAborted(signal);
  const address = manifestUrl(url);
  try {
    // `no-cache` lets the browser revalidate by ETag on its own. Doing so by hand would need a header
    // that calls for a preflight from other origins.
    const response = await fetch(address, { cache: 'no-cache', ...(signal && { signal }) });
    if (!response.ok) {
      await response.body?.cancel();
      throw refused(response.status);
    }
    return await readBounded(response);
  } catch (error) {
    throwIfAborted(signal);
    if (isIsthmusError(error)) throw error;
    throw new IsthmusError('endpoint-lost', 'the package manifest cannot be fetched', { cause: error });
  }
}

function refused(status: number): IsthmusError {
  const why = `the server answered ${status} for the package manifest`;
  const details = { status };
  if (status === 408 || status === 429 || (status >= 502 && status <= 504)) {
    return new IsthmusError('endpoint-lost', why, { details });
  }
  return new IsthmusError(status >= 500 ? 'endpoint-failed' : 'bad-package', why, { details });
}

/** Stops at the bound, whatever the server announced. */
async function readBounded(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = reader ? await reader.read() : { done: true, value: undefined };
    if (done || !value) break;
    chunks.push(value);
    length += value.byteLength;
    if (length > MAX_MANIFEST_BYTES) {
      await reader?.cancel();
      throw new IsthmusError('limit-exceeded', `the manifest exceeds ${MAX_MANIFEST_BYTES} bytes`, {
        details: { path: '$', bound: MAX_MANIFEST_BYTES },
      });
    }
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
