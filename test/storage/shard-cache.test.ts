import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import type { BlobStore } from '../../src/storage/blob-store.ts';
import { createMemoryStore } from '../../src/storage/memory-store.ts';
import { createShardCache, type ShardCacheOptions } from '../../src/storage/shard-cache.ts';
import { gate, ShardServer } from './shard-server.ts';

// Longer than what is flushed at once, so that stored and unstored bytes both occur.
const BYTES = 3 * 2 ** 20 + 17;
const content = Uint8Array.from({ length: BYTES }, (_, index) => (index * 31 + (index >> 9)) & 255);
const shard = { sha256: createHash('sha256').update(content).digest('hex'), bytes: BYTES };
const wrong = content.slice();
wrong[BYTES - 5] = (wrong[BYTES - 5] ?? 0) ^ 1;

let server: ShardServer;
let store: BlobStore;
let warnings: IsthmusError[];

beforeEach(async () => {
  server = await ShardServer.start(new Map([['shard', content]]));
  store = createMemoryStore();
  warnings = [];
});
afterEach(() => server.stop());

function cacheOf(options: Partial<ShardCacheOptions> = {}) {
  return createShardCache({ store, onWarning: (error) => warnings.push(error), ...options });
}

/** Fetches until `at` more bytes are here, then breaks the connection. */
async function breakOffAt(at: number): Promise<unknown> {
  const arrived = gate();
  const [held = 0] = await cacheOf().held([shard]);
  const target = at + held;
  server.behaviours.push({ pause: { at, until: arrived.opened, after: 'break' } });
  return cacheOf()
    .fetch(server.url('shard'), shard, { onProgress: (done) => done >= target && arrived.open() })
    .then(
      () => undefined,
      (error: unknown) => error,
    );
}

describe('a shard', () => {
  it('is fetched, verified, kept and not fetched again', async () => {
    const progress: number[] = [];
    const cache = cacheOf();
    const first = await cache.fetch(server.url('shard'), shard, {
      onProgress: (done) => progress.push(done),
    });
    expect(Buffer.compare(first, content)).toBe(0);
    expect(progress[0]).toBe(0);
    expect(progress.at(-1)).toBe(BYTES);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(Buffer.compare(await cache.fetch(server.url('shard'), shard), content)).toBe(0);
    expect(Buffer.compare(await cacheOf().fetch(server.url('elsewhere'), shard), content)).toBe(0);
    expect(server.sent).toBe(BYTES);
    expect([...(await store.holdings())]).toEqual([[shard.sha256, 'whole']]);
    expect(warnings).toEqual([]);
  });

  it('may be empty, which takes no request', async () => {
    const empty = { sha256: createHash('sha256').digest('hex'), bytes: 0 };
    expect((await cacheOf().fetch(server.url('shard'), empty)).byteLength).toBe(0);
    expect(server.requests).toEqual([]);
    expect(await store.has(empty.sha256)).toBe(true);
  });

  it('gives each caller a buffer of its own', async () => {
    const cache = cacheOf();
    const [first, second] = await Promise.all([
      cache.fetch(server.url('shard'), shard),
      cache.fetch(server.url('shard'), shard),
    ]);
    first.fill(0);
    expect(Buffer.compare(second, content)).toBe(0);
    expect(Buffer.compare(await cache.fetch(server.url('shard'), shard), content)).toBe(0);
  });
});

describe('no byte twice', () => {
  it('shares one download between concurrent callers', async () => {
    const cache = cacheOf();
    const results = await Promise.all(
      Array.from({ length: 5 }, (_, index) => cache.fetch(`${server.url('shard')}?${index}`, shard)),
    );
    for (const result of results) expect(Buffer.compare(result, content)).toBe(0);
    expect(server.sent).toBe(BYTES);
    expect(server.requests).toHaveLength(1);
  });

  it.each([1, 1000, 2 ** 20, 2 ** 20 + 1, BYTES - 1])('resumes by range after %i bytes', async (at) => {
    expect(await breakOffAt(at)).toMatchObject({
      code: 'endpoint-lost',
      details: { received: at, missing: BYTES - at, bytes: BYTES, sha256: shard.sha256 },
    });
    expect(await cacheOf().held([shard])).toEqual([at]);
    const seen: number[] = [];
    const got = await cacheOf().fetch(server.url('shard'), shard, { onProgress: (done) => seen.push(done) });
    expect(Buffer.compare(got, content)).toBe(0);
    expect(seen[0]).toBe(at);
    expect(server.requests[1]?.range).toBe(`bytes=${at}-`);
    expect(server.sent).toBe(BYTES);
    expect(await cacheOf().held([shard])).toEqual([BYTES]);
  });

  it('resumes again and again', async () => {
    for (const at of [100_000, 200_000, 300_000]) await breakOffAt(at);
    await cacheOf().fetch(server.url('shard'), shard);
    expect(server.sent).toBe(BYTES);
    expect(server.requests.map(({ range }) => range)).toEqual([
      undefined,
      'bytes=100000-',
      'bytes=300000-',
      'bytes=600000-',
    ]);
  });

  it('needs no request when everything had arrived before the end', async () => {
    await store.appendPartial(shard.sha256, 0, content);
    expect(Buffer.compare(await cacheOf().fetch(server.url('shard'), shard), content)).toBe(0);
    expect(server.requests).toEqual([]);
    expect(await store.has(shard.sha256)).toBe(true);
  });

  it('counts bytes of the download that runs as here', async () => {
    const arrived = gate();
    const goOn = gate();
    const cache = cacheOf();
    server.behaviours.push({ pause: { at: 5000, until: goOn.opened, after: 'go on' } });
    const done = cache.fetch(server.url('shard'), shard, { onProgress: (n) => n >= 5000 && arrived.open() });
    await arrived.opened;
    expect(await cache.held([shard])).toEqual([5000]);
    goOn.open();
    await done;
  });
});

describe('a server', () => {
  it('without ranges sends everything again, and that is used', async () => {
    await breakOffAt(1000);
    server.behaviours.push({ ignoreRange: true });
    expect(Buffer.compare(await cacheOf().fetch(server.url('shard'), shard), content)).toBe(0);
    expect(server.sent).toBe(1000 + BYTES);
    expect(await store.bytes()).toBe(BYTES);
  });

  it.each([{ status: 416 }, { contentRange: `bytes 0-${BYTES - 1}/${BYTES}` }, { contentRange: 'nonsense' }])(
    'that does not go along with a range (%j) is asked from 0',
    async (behaviour) => {
      await breakOffAt(1000);
      server.behaviours.push(behaviour);
      expect(Buffer.compare(await cacheOf().fetch(server.url('shard'), shard), content)).toBe(0);
      expect(server.requests.map(({ range }) => range)).toEqual([undefined, 'bytes=1000-', undefined]);
    },
  );

  it('that sends wrong bytes is not asked twice', async () => {
    server.files.set('shard', wrong);
    await expect(cacheOf().fetch(server.url('shard'), shard)).rejects.toMatchObject({ code: 'bad-shard' });
    expect(server.requests).toHaveLength(1);
    expect(await store.bytes()).toBe(0);
  });

  it('is asked once more when bytes of an earlier visit were wrong', async () => {
    await store.appendPartial(shard.sha256, 0, new Uint8Array(5000));
    expect(Buffer.compare(await cacheOf().fetch(server.url('shard'), shard), content)).toBe(0);
    expect(server.requests.map(({ range }) => range)).toEqual(['bytes=5000-', undefined]);
    expect(await store.bytes()).toBe(BYTES);
  });

  it('is asked once more and no oftener', async () => {
    server.files.set('shard', wrong);
    await store.appendPartial(shard.sha256, 0, content.slice(0, 5000));
    await expect(cacheOf().fetch(server.url('shard'), shard)).rejects.toMatchObject({ code: 'bad-shard' });
    expect(server.requests).toHaveLength(2);
    expect(await store.bytes()).toBe(0);
  });

  it('whose earlier bytes are more than the shard has is asked from 0', async () => {
    await store.appendPartial(shard.sha256, 0, new Uint8Array(BYTES + 1));
    expect(Buffer.compare(await cacheOf().fetch(server.url('shard'), shard), content)).toBe(0);
    expect(server.requests.map(({ range }) => range)).toEqual([undefined]);
  });

  it.each([
    ['no file', { status: 404 }],
    ['a longer file', { body: new Uint8Array(BYTES + 1) }],
    ['a shorter file', { body: new Uint8Array(BYTES - 1) }],
    ['a longer file of no stated length', { body: new Uint8Array(BYTES + 1), chunked: true }],
    ['a shorter file of no stated length', { chunked: true, pause: { at: 10, after: 'end' as const } }],
    ['a page for every path', { body: new TextEncoder().encode('<!doctype html>') }],
    ['no right to read', { status: 403 }],
  ])('with %s has no such shard', async (_, behaviour) => {
    server.behaviours.push(behaviour);
    await expect(cacheOf().fetch(`${server.url('shard')}?token=secret`, shard)).rejects.toMatchObject({
      code: 'missing-shard',
      details: { url: server.url('shard'), sha256: shard.sha256 },
    });
    expect(await store.bytes()).toBe(0);
  });

  it('whose file has another length in its range has no such shard', async () => {
    await breakOffAt(1000);
    server.behaviours.push({ contentRange: `bytes 1000-${BYTES}/${BYTES + 1}` });
    await expect(cacheOf().fetch(server.url('shard'), shard)).rejects.toMatchObject({
      code: 'missing-shard',
    });
  });

  it.each([
    [429, 'endpoint-lost'],
    [503, 'endpoint-lost'],
    [500, 'endpoint-failed'],
  ])('that answers %i keeps what came before', async (status, code) => {
    await breakOffAt(1000);
    server.behaviours.push({ status });
    await expect(cacheOf().fetch(server.url('shard'), shard)).rejects.toMatchObject({ code });
    await cacheOf().fetch(server.url('shard'), shard);
    expect(server.sent).toBe(BYTES);
  });

  it('that cannot be reached is lost', async () => {
    const url = server.url('shard');
    await server.stop();
    await expect(cacheOf().fetch(url, shard)).rejects.toMatchObject({
      code: 'endpoint-lost',
      details: { received: 0, missing: BYTES },
    });
    server = await ShardServer.start();
  });

  it('that falls silent is lost, and what came is kept', async () => {
    server.behaviours.push({ pause: { at: 1000, after: 'hang' } });
    await expect(cacheOf({ stallMs: 100 }).fetch(server.url('shard'), shard)).rejects.toMatchObject({
      code: 'endpoint-lost',
      details: { received: 1000 },
    });
    expect(await store.partialLength(shard.sha256)).toBe(1000);
  });
});

describe('aborting', () => {
  it('one of two callers leaves the download to the other', async () => {
    const arrived = gate();
    const goOn = gate();
    const leaving = new AbortController();
    const cache = cacheOf();
    server.behaviours.push({ pause: { at: 5000, until: goOn.opened, after: 'go on' } });
    const first = cache.fetch(server.url('shard'), shard, {
      signal: leaving.signal,
      onProgress: (done) => done >= 5000 && arrived.open(),
    });
    const second = cache.fetch(server.url('shard'), shard);
    await arrived.opened;
    leaving.abort();
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    goOn.open();
    expect(Buffer.compare(await second, content)).toBe(0);
    expect(server.sent).toBe(BYTES);
  });

  it('the only caller stops it and keeps what came; the next one goes on', async () => {
    const arrived = gate();
    const leaving = new AbortController();
    const cache = cacheOf();
    server.behaviours.push({ pause: { at: 5000, after: 'hang' } });
    const first = cache.fetch(server.url('shard'), shard, {
      signal: leaving.signal,
      onProgress: (done) => done >= 5000 && arrived.open(),
    });
    await arrived.opened;
    leaving.abort();
    // Asked before the first has wound up: must not run beside it.
    const second = cache.fetch(server.url('shard'), shard);
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    expect(Buffer.compare(await second, content)).toBe(0);
    expect(server.requests.map(({ range }) => range)).toEqual([undefined, 'bytes=5000-']);
    expect(server.sent).toBe(BYTES);
  });

  it('before the call asks for nothing', async () => {
    const signal = AbortSignal.abort();
    await expect(cacheOf().fetch(server.url('shard'), shard, { signal })).rejects.toMatchObject({
      code: 'aborted',
    });
    expect(server.requests).toEqual([]);
  });
});

describe('a store that fails', () => {
  /** A store in which the named calls fail as a full or broken disk does. */
  function failing(...names: (keyof BlobStore)[]): BlobStore {
    const broken = { ...store };
    for (const name of names) {
      Object.assign(broken, {
        [name]: () =>
          Promise.reject(new IsthmusError('storage-failed', 'full', { details: { reason: 'quota' } })),
      });
    }
    return broken;
  }

  it.each([
    [['appendPartial', 'put'] as const],
    [['finishPartial', 'put'] as const],
    [['get', 'has', 'put', 'delete', 'partialLength', 'appendPartial', 'finishPartial'] as const],
  ])('in %j costs persistence and nothing else', async (names) => {
    const cache = cacheOf({ store: failing(...names) });
    expect(Buffer.compare(await cache.fetch(server.url('shard'), shard), content)).toBe(0);
    expect(Buffer.compare(await cache.fetch(server.url('shard'), shard), content)).toBe(0);
    expect(await cache.held([shard])).toEqual([BYTES]);
    expect(server.sent).toBe(BYTES);
    expect(warnings.length).toBeGreaterThan(0);
    expect(warnings.every(({ code }) => code === 'storage-failed')).toBe(true);
  });

  it('after some bytes costs what it had not taken', async () => {
    let appends = 0;
    const filling: BlobStore = {
      ...store,
      appendPartial: async (key, offset, chunk) => {
        appends += 1;
        if (appends > 1) throw new IsthmusError('storage-failed', 'full');
        await store.appendPartial(key, offset, chunk);
      },
    };
    const got = await cacheOf({ store: filling }).fetch(server.url('shard'), shard);
    expect(Buffer.compare(got, content)).toBe(0);
    expect(warnings).toHaveLength(1);
    const kept = await store.partialLength(shard.sha256);
    expect(kept).toBeGreaterThan(0);
    await cacheOf().fetch(server.url('shard'), shard);
    expect(server.sent).toBe(2 * BYTES - kept);
  });

  it('by giving back other bytes is found out, and the shard is fetched again', async () => {
    await store.put(shard.sha256, wrong);
    expect(Buffer.compare(await cacheOf().fetch(server.url('shard'), shard), content)).toBe(0);
    expect(warnings).toMatchObject([{ code: 'storage-failed', details: { reason: 'damaged' } }]);
    expect(Buffer.compare((await store.get(shard.sha256)) ?? wrong, content)).toBe(0);
  });

  it('because another tab writes it too ends with the shard stored once, without a warning', async () => {
    const contested: BlobStore = {
      ...store,
      appendPartial: async (key, offset, chunk) => {
        if (offset > 0) await store.delete(key);
        await store.appendPartial(key, offset, chunk);
      },
    };
    const cache = cacheOf({ store: contested });
    expect(Buffer.compare(await cache.fetch(server.url('shard'), shard), content)).toBe(0);
    expect(warnings).toEqual([]);
    expect(Buffer.compare((await store.get(shard.sha256)) ?? wrong, content)).toBe(0);
  });
});
