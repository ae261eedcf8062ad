/**
 * Bytes kept under a name: whole blobs, and partial ones that grow from the front until they are
 * finished, so that an interrupted download goes on after a reload. All stores share one conformance
 * suite.
 *
 * *Absent* is `undefined` (or length 0 for a partial blob) and nothing else: a store that cannot read
 * rejects with `storage-failed`. After `close` every call rejects with `closed`.
 */
import { IsthmusError } from '../errors.ts';

export interface BlobStore {
  /** The whole blob, in a buffer that belongs to the caller; `undefined` when there is none. */
  get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** True for a whole blob; a partial one does not count. */
  has(key: string): Promise<boolean>;
  /** Stores a whole blob at once or not at all; replaces what was there, a partial blob included. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Removes the blob and the partial blob of that key; absent ones are ignored. */
  delete(key: string): Promise<void>;
  /** Of every key what is held, in one look: `'whole'`, or the length of a partial blob that has any. */
  holdings(): Promise<ReadonlyMap<string, 'whole' | number>>;
  /** Bytes held, partial blobs included. */
  bytes(): Promise<number>;

  /** Length so far of the partial blob; 0 when there is none. */
  partialLength(key: string): Promise<number>;
  /**
   * Adds `chunk` at the end of the partial blob. Rejects with `storage-failed` and
   * `details.reason = 'offset'`, storing nothing, when `offset` is not its length: another tab has
   * written, and two writers must not weave their bytes together.
   */
  appendPartial(key: string, offset: number, chunk: Uint8Array): Promise<void>;
  /** The partial blob's bytes in order, piece by piece, so that it is never held twice. */
  readPartial(key: string): AsyncIterable<Uint8Array>;
  /** Makes the partial blob of that length the whole blob; refuses another length as `appendPartial` does. */
  finishPartial(key: string, length: number): Promise<void>;

  close(): Promise<void>;
}

/**
 * Keys become file names, so the alphabet is what every file system takes and keeps apart. Callers
 * hash what does not fit.
 */
const KEY = /^[a-z0-9][a-z0-9_-]{0,127}$/;

/** Throws `bad-option` for a key that a store might not keep apart from another. */
export function checkKey(key: string): void {
  if (KEY.test(key)) return;
  throw new IsthmusError('bad-option', `${JSON.stringify(key.slice(0, 200))} is not a storage key`);
}

export function storageFailed(what: string, cause: unknown): IsthmusError {
  const reason = cause instanceof Error ? cause.name : typeof cause;
  return new IsthmusError('storage-failed', `${what} failed: ${String(cause)}`, {
    cause,
    details: { reason },
  });
}

export function wrongOffset(key: string, offset: number, length: number): IsthmusError {
  return new IsthmusError(
    'storage-failed',
    `the partial blob ${key} has ${length} bytes, not ${offset}: someone else writes it too`,
    { details: { reason: 'offset', offset, length } },
  );
}

export function storeClosed(): IsthmusError {
  return new IsthmusError('closed', 'the store is closed');
}
