/** What the browser tests run inside a page: bundled, then called by name through `globalThis`. */
import { toWireError, type WireError } from '../../src/errors.ts';
import { openBrowserStore } from '../../src/storage/browser/blob-store.ts';
import { openBrowserJsonStore } from '../../src/storage/browser/json-store.ts';
import { sha256Hex } from '../../src/storage/sha256.ts';
import { createShardCache } from '../../src/storage/shard-cache.ts';
import { blobStoreContract } from '../contracts/blob-store.ts';

const strict = {
  onWarning: (error: Error) => {
    throw error;
  },
};

async function runContract(name: string): Promise<void> {
  const database = `contract-${name}`;
  const open = () => openBrowserStore({ ...strict, name: database });
  const found = blobStoreContract.find((contract) => contract.name === name);
  if (!found) throw new Error(`no case "${name}"`);
  await found.run({ open, reopen: open });
}

export interface FetchOutcome {
  readonly error?: WireError;
  readonly sha256?: string;
  /** Bytes held before and after. */
  readonly held: readonly [number, number];
  readonly warnings: readonly WireError[];
}

async function fetchShard(
  url: string,
  shard: { sha256: string; bytes: number },
  options: { openAt?: number; gateUrl?: string } = {},
): Promise<FetchOutcome> {
  const warnings: WireError[] = [];
  const onWarning = (error: Error): void => void warnings.push(toWireError(error));
  const store = await openBrowserStore({ name: 'shards', onWarning });
  const cache = createShardCache({ store, onWarning });
  const held = async (): Promise<number> => (await cache.held([shard]))[0] ?? 0;
  const before = await held();
  let opened = false;
  try {
    const bytes = await cache.fetch(url, shard, {
      onProgress: (done) => {
        if (opened || options.gateUrl === undefined || done < (options.openAt ?? 0)) return;
        opened = true;
        void fetch(options.gateUrl);
      },
    });
    return { sha256: await sha256Hex(bytes), held: [before, await held()], warnings };
  } catch (error) {
    return { error: toWireError(error), held: [before, await held()], warnings };
  } finally {
    await store.close();
  }
}

/** Writes and reads through a store opened while IndexedDB misbehaves; the warnings' reasons. */
async function useWithout(how: 'absent' | 'refusing' | 'hanging'): Promise<unknown[]> {
  const reasons: unknown[] = [];
  const options = {
    name: `without-${how}`,
    timeoutMs: 200,
    onWarning: (error: { details: { reason?: unknown } }) => void reasons.push(error.details.reason),
  };
  if (how === 'absent')
    Object.defineProperty(globalThis, 'indexedDB', { value: undefined, configurable: true });
  else {
    IDBFactory.prototype.open = () => {
      if (how === 'refusing') throw new DOMException('not in this window', 'SecurityError');
      return new EventTarget() as IDBOpenDBRequest;
    };
  }
  const blobs = await openBrowserStore(options);
  await blobs.put('a', Uint8Array.of(1, 2, 3));
  if ((await blobs.get('a'))?.byteLength !== 3) throw new Error('the blob is lost');
  const values = await openBrowserJsonStore(options);
  await values.set('a', { b: 1 });
  if (JSON.stringify(await values.get('a')) !== '{"b":1}') throw new Error('the value is lost');
  return reasons;
}

async function setValue(key: string, value: number[]): Promise<void> {
  const store = await openBrowserJsonStore(strict);
  await store.set(key, value);
  await store.close();
}

async function getValue(key: string): Promise<unknown> {
  const store = await openBrowserJsonStore(strict);
  try {
    return await store.get(key);
  } finally {
    await store.close();
  }
}

const page = {
  runContract,
  fetchShard,
  useWithout,
  setValue,
  getValue,
  hasSubtle: () => crypto.subtle !== undefined,
};

export type Page = typeof page;

Object.assign(globalThis, { page });
