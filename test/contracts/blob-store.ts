/**
 * What every blob store does, as named cases without a test runner: they run under vitest and, for
 * the browser's store, inside a real page. Each case gets stores that share nothing with other cases.
 */
import { isIsthmusError } from '../../src/errors.ts';
import type { BlobStore } from '../../src/storage/blob-store.ts';

export interface StoreUnderTest {
  open(): Promise<BlobStore>;
  /** Opens what `open` gave again, as after a restart; left out by stores that forget. */
  readonly reopen?: () => Promise<BlobStore>;
}

export interface ContractCase {
  readonly name: string;
  /** Throws when the store breaks the contract. */
  run(subject: StoreUnderTest): Promise<void>;
}

function equal(got: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: expected ${b}, got ${a}`);
}

function equalBytes(got: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  if (!got) throw new Error(`${what}: nothing there`);
  equal(got.byteLength, expected.byteLength, `${what}: length`);
  for (let at = 0; at < got.byteLength; at += 1) {
    if (got[at] !== expected[at]) throw new Error(`${what}: byte ${at} is ${got[at]}, not ${expected[at]}`);
  }
}

async function refused(work: Promise<unknown>, code: string, what: string): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    if (!isIsthmusError(error)) throw error;
    equal(error.code, code, what);
    return error.details.reason;
  }
  throw new Error(`${what}: not refused`);
}

/** In the order of keys; `['a', 'whole']`, or a length. */
async function holdings(store: BlobStore): Promise<readonly (readonly [string, 'whole' | number])[]> {
  return [...(await store.holdings())].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

async function partialOf(store: BlobStore, key: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.readPartial(key)) chunks.push(chunk);
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

function pattern(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (at * 31 + (at >> 8) * 7 + seed) & 255;
  return bytes;
}

/** Longer than two chunks of any store that cuts blobs up, and a multiple of none. */
const LARGE_BYTES = 9 * 2 ** 20 + 12_345;

type Body = (store: BlobStore, subject: StoreUnderTest) => Promise<void>;

function contractCase(name: string, body: Body): ContractCase {
  return {
    name,
    run: async (subject) => {
      const store = await subject.open();
      try {
        await body(store, subject);
      } finally {
        await store.close();
      }
    },
  };
}

const absentCases: readonly ContractCase[] = [
  contractCase('absent is undefined, length 0 and no pieces', async (store) => {
    equal(await store.get('none'), undefined, 'get');
    equal(await store.has('none'), false, 'has');
    equal(await store.partialLength('none'), 0, 'partialLength');
    equal((await partialOf(store, 'none')).byteLength, 0, 'readPartial');
    equal(await holdings(store), [], 'holdings');
    equal(await store.bytes(), 0, 'bytes');
    await store.delete('none');
  }),
  contractCase('refuses keys that a file system might not keep apart', async (store) => {
    for (const key of ['', '../x', 'a/b', 'A', '.x', 'a.b', 'ä', 'x'.repeat(129)]) {
      await refused(store.get(key), 'bad-option', `get ${key}`);
      await refused(store.has(key), 'bad-option', `has ${key}`);
      await refused(store.put(key, pattern(1, 0)), 'bad-option', `put ${key}`);
      await refused(store.appendPartial(key, 0, pattern(1, 0)), 'bad-option', `append ${key}`);
      await refused(partialOf(store, key), 'bad-option', `readPartial ${key}`);
    }
    equal(await store.bytes(), 0, 'nothing was stored');
  }),
  contractCase('says that it is closed', async (store) => {
    await store.put('a', pattern(3, 0));
    await store.close();
    await store.close();
    await refused(store.get('a'), 'closed', 'get');
    await refused(store.put('a', pattern(3, 0)), 'closed', 'put');
    await refused(store.holdings(), 'closed', 'holdings');
    await refused(store.bytes(), 'closed', 'bytes');
    await refused(partialOf(store, 'a'), 'closed', 'readPartial');
  }),
];

const wholeCases: readonly ContractCase[] = [
  contractCase('gives back what was put, also nothing and much', async (store) => {
    for (const length of [0, 1, 1000, LARGE_BYTES]) {
      const bytes = pattern(length, length);
      await store.put(`of-${length}`, bytes);
      equalBytes(await store.get(`of-${length}`), bytes, `blob of ${length}`);
      equal(await store.has(`of-${length}`), true, 'has');
    }
    const expected = ['of-0', 'of-1', 'of-1000', `of-${LARGE_BYTES}`].map((key) => [key, 'whole']);
    equal(await holdings(store), expected, 'holdings');
    equal(await store.bytes(), 1001 + LARGE_BYTES, 'bytes');
  }),
  contractCase('stores a view without the buffer around it', async (store) => {
    const buffer = pattern(5000, 9);
    await store.put('view', buffer.subarray(100, 200));
    const got = await store.get('view');
    equalBytes(got, buffer.slice(100, 200), 'view');
    equal([got?.byteOffset, got?.buffer.byteLength], [0, 100], 'the buffer given back');
  }),
  contractCase('does not share memory with its callers', async (store) => {
    const bytes = pattern(100, 1);
    await store.put('a', bytes);
    bytes.fill(0);
    const first = await store.get('a');
    equalBytes(first, pattern(100, 1), 'after the caller changed what it put');
    first?.fill(0);
    equalBytes(await store.get('a'), pattern(100, 1), 'after the caller changed what it got');
  }),
  contractCase('replaces a blob, a longer one as well', async (store) => {
    await store.put('a', pattern(LARGE_BYTES, 1));
    await store.put('a', pattern(10, 2));
    equalBytes(await store.get('a'), pattern(10, 2), 'replaced');
    equal(await store.bytes(), 10, 'bytes');
    equal(await holdings(store), [['a', 'whole']], 'holdings');
  }),
  contractCase('deletes one blob and leaves the others', async (store) => {
    await store.put('a', pattern(10, 1));
    await store.put('ab', pattern(20, 2));
    await store.delete('a');
    equal(await store.get('a'), undefined, 'deleted');
    equal(await store.has('a'), false, 'has');
    equalBytes(await store.get('ab'), pattern(20, 2), 'the other');
    equal(await store.bytes(), 20, 'bytes');
  }),
  contractCase('keeps concurrent writes of different keys apart', async (store) => {
    const lengths = Array.from({ length: 20 }, (_, index) => index * 137);
    await Promise.all(lengths.map((length) => store.put(`k${length}`, pattern(length, length))));
    for (const length of lengths) equalBytes(await store.get(`k${length}`), pattern(length, length), 'blob');
  }),
];

const partialCases: readonly ContractCase[] = [
  contractCase('grows a partial blob that nobody takes for a whole one', async (store) => {
    await store.appendPartial('a', 0, pattern(100, 1));
    await store.appendPartial('a', 100, pattern(50, 2));
    equal(await store.partialLength('a'), 150, 'partialLength');
    equal(
      [await store.get('a'), await store.has('a'), await holdings(store)],
      [undefined, false, [['a', 150]]],
      'not whole',
    );
    equal(await store.bytes(), 150, 'bytes');
    equalBytes(
      await partialOf(store, 'a'),
      Uint8Array.from([...pattern(100, 1), ...pattern(50, 2)]),
      'pieces',
    );
  }),
  contractCase('finishes a partial blob', async (store) => {
    const bytes = pattern(LARGE_BYTES, 3);
    let at = 0;
    for (const length of [1, 5 * 2 ** 20, 77, 0, LARGE_BYTES]) {
      const chunk = bytes.slice(at, at + length);
      await store.appendPartial('a', at, chunk);
      at += chunk.byteLength;
    }
    equalBytes(await partialOf(store, 'a'), bytes, 'before');
    await store.finishPartial('a', LARGE_BYTES);
    equalBytes(await store.get('a'), bytes, 'after');
    equal(
      [await store.partialLength('a'), await holdings(store)],
      [0, [['a', 'whole']]],
      'no longer partial',
    );
    equal(await store.bytes(), LARGE_BYTES, 'bytes');
  }),
  contractCase('finishing nothing gives an empty blob', async (store) => {
    await store.finishPartial('a', 0);
    equalBytes(await store.get('a'), new Uint8Array(0), 'empty');
  }),
  contractCase('finishing replaces the whole blob of that key', async (store) => {
    await store.put('a', pattern(100, 1));
    await store.appendPartial('a', 0, pattern(30, 2));
    equalBytes(await store.get('a'), pattern(100, 1), 'still the old one');
    await store.finishPartial('a', 30);
    equalBytes(await store.get('a'), pattern(30, 2), 'the new one');
    equal(await store.bytes(), 30, 'bytes');
  }),
  contractCase('refuses an append or an end that does not fit, and keeps what it had', async (store) => {
    await store.appendPartial('a', 0, pattern(100, 1));
    for (const offset of [0, 99, 101]) {
      const reason = await refused(
        store.appendPartial('a', offset, pattern(9, 2)),
        'storage-failed',
        'append',
      );
      equal(reason, 'offset', 'reason');
    }
    for (const length of [0, 99, 101]) {
      equal(await refused(store.finishPartial('a', length), 'storage-failed', 'finish'), 'offset', 'reason');
    }
    equal(await refused(store.finishPartial('b', 1), 'storage-failed', 'finish nothing'), 'offset', 'reason');
    equalBytes(await partialOf(store, 'a'), pattern(100, 1), 'unchanged');
    equal(
      [await store.get('a'), await store.get('b'), await holdings(store)],
      [undefined, undefined, [['a', 100]]],
      'none',
    );
  }),
  contractCase('putting and deleting end a partial blob', async (store) => {
    await store.appendPartial('a', 0, pattern(100, 1));
    await store.put('a', pattern(5, 2));
    equal([await store.partialLength('a'), await holdings(store)], [0, [['a', 'whole']]], 'after put');
    await store.appendPartial('b', 0, pattern(100, 1));
    await store.delete('b');
    equal([await store.partialLength('b'), await store.bytes()], [0, 5], 'after delete');
    equal(await holdings(store), [['a', 'whole']], 'after both');
  }),
  contractCase('does not share memory with who appends', async (store) => {
    const chunk = pattern(100, 1);
    await store.appendPartial('a', 0, chunk);
    chunk.fill(0);
    equalBytes(await partialOf(store, 'a'), pattern(100, 1), 'chunk');
  }),
];

const reopenCase = contractCase('keeps whole and partial blobs over a restart', async (store, subject) => {
  if (!subject.reopen) return;
  await store.put('whole', pattern(LARGE_BYTES, 1));
  await store.appendPartial('part', 0, pattern(100, 2));
  await store.close();
  const again = await subject.reopen();
  try {
    equalBytes(await again.get('whole'), pattern(LARGE_BYTES, 1), 'whole');
    await again.appendPartial('part', 100, pattern(50, 3));
    await again.finishPartial('part', 150);
    equalBytes(await again.get('part'), Uint8Array.from([...pattern(100, 2), ...pattern(50, 3)]), 'partial');
  } finally {
    await again.close();
  }
});

export const blobStoreContract: readonly ContractCase[] = [
  ...absentCases,
  ...wholeCases,
  ...partialCases,
  reopenCase,
];
