/** JSON values in IndexedDB, or in memory where that does not work. */
import { IsthmusError } from '../../errors.ts';
import { createMemoryJsonStore, type JsonStore, withMemoryFallback } from '../json-store.ts';
import type { BrowserStoreOptions } from './blob-store.ts';
import { type Idb, openIdb } from './idb.ts';

/** Never rejects for want of storage: what cannot be kept is kept in memory, and `onWarning` is told. */
export async function openBrowserJsonStore(options: BrowserStoreOptions = {}): Promise<JsonStore> {
  try {
    const idb = await openIdb(options.name ?? 'isthmus-json', options.timeoutMs);
    return withMemoryFallback(createIdbJsonStore(idb), options.onWarning);
  } catch (error) {
    if (!(error instanceof IsthmusError)) throw error;
    options.onWarning?.(error);
    return createMemoryJsonStore();
  }
}

// Values are stored as JSON text: what comes back is then JSON, whatever structured cloning would keep.
function createIdbJsonStore(idb: Idb): JsonStore {
  return {
    get: (key) =>
      idb.transact('reading a value', 'readonly', (store) => {
        const request = store.get(['json', key]) as IDBRequest<unknown>;
        return () =>
          typeof request.result === 'string' ? (JSON.parse(request.result) as unknown) : undefined;
      }),
    set: (key, value) =>
      idb.transact('writing a value', 'readwrite', (store) => {
        store.put(JSON.stringify(value), ['json', key]);
        return () => undefined;
      }),
    delete: (key) =>
      idb.transact('deleting a value', 'readwrite', (store) => {
        store.delete(['json', key]);
        return () => undefined;
      }),
    close: () => idb.close(),
  };
}
