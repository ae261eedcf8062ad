/**
 * The one place that touches idb-keyval. What it adds: a database counts as open only when a write
 * and a read went through, an open that never ends is given up (WebKit bug 226547: the first open
 * after a start could hang for ever), and a transaction counts as done when it has committed.
 */
import { createStore, type UseStore } from 'idb-keyval';
import { IsthmusError, isIsthmusError } from '../../errors.ts';
import { storageFailed, storeClosed } from '../blob-store.ts';

/** A healthy open takes milliseconds; one that takes longer than this has hung. */
const OPEN_TIMEOUT_MS = 5000;

const PROBE_KEY = 'probe';

export interface Idb {
  /**
   * Runs `work` in one transaction and resolves with what the function that it returned returns once
   * that has committed. A throw inside `work`, or a callback of it, aborts the transaction.
   */
  transact<T>(what: string, mode: IDBTransactionMode, work: IdbWork<T>): Promise<T>;
  close(): Promise<void>;
}

/** Issues requests on the store; the result may be filled in by their callbacks. */
export type IdbWork<T> = (store: IDBObjectStore) => () => T;

/** Opens a database of our own. Rejects with `storage-failed` where there is none or it does not work. */
export async function openIdb(name: string, timeoutMs = OPEN_TIMEOUT_MS): Promise<Idb> {
  if (typeof indexedDB === 'undefined') {
    throw new IsthmusError('storage-failed', 'this place has no IndexedDB', {
      details: { reason: 'absent' },
    });
  }
  const use = createStore(name, 'entries');
  let closed = false;
  const idb: Idb = {
    transact: async (what, mode, work) => {
      if (closed) throw storeClosed();
      try {
        return await transact(use, mode, work);
      } catch (error) {
        throw isIsthmusError(error) ? error : storageFailed(what, error);
      }
    },
    close: async () => {
      if (closed) return;
      closed = true;
      await use('readonly', (store) => store.transaction.db.close()).catch(() => undefined);
    },
  };
  await withTimeout(
    idb.transact('opening the database', 'readwrite', (store) => {
      store.put(1, PROBE_KEY);
      store.delete(PROBE_KEY);
      return () => undefined;
    }),
    timeoutMs,
  );
  return idb;
}

function transact<T>(use: UseStore, mode: IDBTransactionMode, work: IdbWork<T>): Promise<T> {
  return use(
    mode,
    (store) =>
      new Promise<T>((resolve, reject) => {
        const { transaction } = store;
        const failed = (): void => reject(transaction.error ?? new Error('the transaction was aborted'));
        try {
          const result = work(store);
          transaction.oncomplete = () => {
            try {
              resolve(result());
            } catch (error) {
              reject(error);
            }
          };
        } catch (error) {
          reject(error);
          transaction.abort();
        }
        transaction.onabort = failed;
        transaction.onerror = failed;
      }),
  );
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hung = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new IsthmusError('storage-failed', `the database did not open within ${timeoutMs} ms`, {
          details: { reason: 'timeout', timeoutMs },
        }),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([work, hung]);
  } finally {
    clearTimeout(timer);
  }
}
