/**
 * Blobs in IndexedDB, cut into chunks. Why not the others: OPFS has `createWritable` on Safari's main
 * thread only since version 26, and before that sync access handles in workers alone; the Cache API
 * is absent on plain-http pages and cannot append. IndexedDB is everywhere, commits atomically, and
 * chunks keep its one weakness, large values that are copied whole, small.
 *
 * Records: `['blob', key]` and `['partial', key]` hold `{ id, length }`; `['chunk', id, offset]` holds
 * the bytes. Finishing a partial blob only moves the small record.
 */
import { IsthmusError } from '../../errors.ts';
import { type BlobStore, checkKey, wrongOffset } from '../blob-store.ts';
import { letGo } from '../let-go.ts';
import { createMemoryStore } from '../memory-store.ts';
import { type Idb, openIdb } from './idb.ts';

/** Large enough that a transaction's fixed cost is small, small enough to copy without a pause. */
const CHUNK_BYTES = 2 ** 22;

interface Entry {
  readonly id: string;
  readonly length: number;
}

export interface BrowserStoreOptions {
  /** Database name; pages of one origin that give the same name share what is stored. */
  readonly name?: string;
  /** Ms until an open counts as hung. */
  readonly timeoutMs?: number;
  /** Told once when the store is in memory only, with the reason. */
  readonly onWarning?: (error: IsthmusError) => void;
}

/** The browser's persistent store, or one in memory where that does not work (private windows). */
export async function openBrowserStore(options: BrowserStoreOptions = {}): Promise<BlobStore> {
  try {
    return createIdbStore(await openIdb(options.name ?? 'isthmus-blobs', options.timeoutMs));
  } catch (error) {
    if (!(error instanceof IsthmusError)) throw error;
    options.onWarning?.(error);
    return createMemoryStore();
  }
}

type Kind = 'blob' | 'partial';

function createIdbStore(idb: Idb): BlobStore {
  return {
    get: (key) => idb.transact('reading a blob', 'readonly', (store) => readBlob(store, key)),
    has: (key) =>
      idb.transact('looking for a blob', 'readonly', (store) => {
        const request = store.getKey(entryKey('blob', key));
        return () => request.result !== undefined;
      }),
    put: (key, bytes) =>
      idb.transact('writing a blob', 'readwrite', (store) => {
        const id = freshId();
        removeEntry(store, 'partial', key);
        removeEntry(store, 'blob', key, () => putEntry(store, 'blob', key, { id, length: bytes.byteLength }));
        for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) putChunk(store, id, at, bytes);
        return () => undefined;
      }),
    delete: (key) =>
      idb.transact('deleting a blob', 'readwrite', (store) => {
        removeEntry(store, 'partial', key);
        removeEntry(store, 'blob', key);
        return () => undefined;
      }),
    holdings: () =>
      idb.transact('listing blobs', 'readonly', (store) => {
        const whole = store.getAllKeys(entriesOf('blob'));
        const partial = store.getAllKeys(entriesOf('partial'));
        const lengths = request<Entry[]>(store.getAll(entriesOf('partial')));
        return () => {
          const found = new Map<string, 'whole' | number>();
          for (const [at, key] of partial.result.entries()) {
            const length = lengths.result[at]?.length ?? 0;
            if (length > 0) found.set(nameIn(key), length);
          }
          for (const key of whole.result) found.set(nameIn(key), 'whole');
          return found;
        };
      }),
    bytes: () =>
      idb.transact('measuring blobs', 'readonly', (store) => {
        const requests = (['blob', 'partial'] as const).map((kind) =>
          request<Entry[]>(store.getAll(entriesOf(kind))),
        );
        return () => requests.flatMap(({ result }) => result).reduce((sum, entry) => sum + entry.length, 0);
      }),
    partialLength: (key) =>
      idb.transact('measuring a partial blob', 'readonly', (store) => {
        const found = getEntry(store, 'partial', key);
        return () => found.result?.length ?? 0;
      }),
    appendPartial: (key, offset, chunk) => append(idb, key, offset, chunk),
    readPartial: (key) => readPartial(idb, key),
    finishPartial: (key, length) =>
      idb.transact('finishing a partial blob', 'readwrite', (store) => {
        const found = getEntry(store, 'partial', key);
        found.onsuccess = () => {
          const entry = found.result ?? { id: freshId(), length: 0 };
          if (entry.length !== length) return;
          store.delete(entryKey('partial', key));
          removeEntry(store, 'blob', key, () => putEntry(store, 'blob', key, entry));
        };
        return () => {
          const had = found.result?.length ?? 0;
          if (had !== length) throw wrongOffset(key, length, had);
        };
      }),
    close: () => idb.close(),
  };
}

function readBlob(store: IDBObjectStore, key: string): () => Uint8Array<ArrayBuffer> | undefined {
  let bytes: Uint8Array<ArrayBuffer> | undefined;
  let length = 0;
  const found = getEntry(store, 'blob', key);
  found.onsuccess = () => {
    const entry = found.result;
    if (!entry) return;
    const target = new Uint8Array(entry.length);
    bytes = target;
    // A cursor brings one chunk at a time: at most one is held beside the whole.
    const cursor = store.openCursor(chunkRange(entry.id));
    cursor.onsuccess = () => {
      const at = cursor.result;
      if (!at) return;
      const chunk = at.value as Uint8Array;
      if (length + chunk.byteLength <= target.byteLength) target.set(chunk, length);
      length += chunk.byteLength;
      at.continue();
    };
  };
  return () => {
    if (bytes && length !== bytes.byteLength) throw lostChunks(key, bytes.byteLength, length);
    return bytes;
  };
}

function append(idb: Idb, key: string, offset: number, chunk: Uint8Array): Promise<void> {
  return idb.transact('appending to a partial blob', 'readwrite', (store) => {
    let length = 0;
    const found = getEntry(store, 'partial', key);
    found.onsuccess = () => {
      const id = found.result?.id ?? freshId();
      length = found.result?.length ?? 0;
      if (length !== offset) return;
      for (let at = 0; at < chunk.byteLength; at += CHUNK_BYTES) putChunk(store, id, at, chunk, offset);
      putEntry(store, 'partial', key, { id, length: offset + chunk.byteLength });
    };
    return () => {
      if (length !== offset) throw wrongOffset(key, offset, length);
    };
  });
}

async function* readPartial(idb: Idb, key: string): AsyncIterable<Uint8Array> {
  const entry = await idb.transact('reading a partial blob', 'readonly', (store) => {
    const found = getEntry(store, 'partial', key);
    return () => found.result;
  });
  if (!entry) return;
  for (let at = 0; at < entry.length; ) {
    const chunk = await idb.transact('reading a partial blob', 'readonly', (store) => {
      const found = request<Uint8Array | undefined>(store.get(['chunk', entry.id, at]));
      return () => found.result;
    });
    if (!chunk) throw lostChunks(key, entry.length, at);
    yield chunk;
    at += chunk.byteLength;
  }
}

function entryKey(kind: Kind, key: string): string[] {
  checkKey(key);
  return [kind, key];
}

/** All of a kind: in IndexedDB's order of keys every string comes before every array. */
function entriesOf(kind: Kind): IDBKeyRange {
  return IDBKeyRange.bound([kind], [kind, []]);
}

function nameIn(key: IDBValidKey): string {
  return Array.isArray(key) ? String(key[1]) : '';
}

// The DOM types make every result `any`; these name what we wrote there ourselves.
function request<T>(raw: IDBRequest): IDBRequest<T> {
  return raw as IDBRequest<T>;
}

function getEntry(store: IDBObjectStore, kind: Kind, key: string): IDBRequest<Entry | undefined> {
  return request(store.get(entryKey(kind, key)));
}

function putEntry(store: IDBObjectStore, kind: Kind, key: string, entry: Entry): void {
  store.put(entry, entryKey(kind, key));
}

/** Deletes an entry with its chunks; `then` runs in the same transaction, after it. */
function removeEntry(store: IDBObjectStore, kind: Kind, key: string, then?: () => void): void {
  const found = getEntry(store, kind, key);
  found.onsuccess = () => {
    if (found.result) {
      store.delete(chunkRange(found.result.id));
      store.delete(entryKey(kind, key));
    }
    then?.();
  };
}

function chunkRange(id: string): IDBKeyRange {
  // In IndexedDB's order of keys every number comes before every array.
  return IDBKeyRange.bound(['chunk', id], ['chunk', id, []]);
}

function putChunk(store: IDBObjectStore, id: string, at: number, bytes: Uint8Array, base = 0): void {
  // `slice`, not `subarray`: a view would be stored with the whole buffer behind it.
  const copy = bytes.slice(at, at + CHUNK_BYTES);
  store.put(copy, ['chunk', id, base + at]);
  // `put` has cloned it. Left to the collector, as much as was stored stays in memory for long.
  letGo(copy);
}

function freshId(): string {
  // `randomUUID` is absent on plain-http pages; `getRandomValues` is everywhere.
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('-');
}

function lostChunks(key: string, expected: number, got: number): IsthmusError {
  return new IsthmusError(
    'storage-failed',
    `the store lost bytes of ${key}: ${got} of ${expected} are there`,
    {
      details: { reason: 'lost', expected, got },
    },
  );
}
