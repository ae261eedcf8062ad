import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchHubModel, type HubModelOptions } from '../../../src/package/node/hub/hub-model.ts';
import { type HubServer, sha256, startHub } from './hub-server.ts';

const REPO = 'maker/tiny-GGUF';
const FILE = 'tiny.Q4_0.gguf';

/** Three steps of a header's reading and a bit: no two parts of it are alike. */
const BYTES = Uint8Array.from({ length: 3_500_000 }, (_, index) => (index * 2654435761) >>> 13);

let hub: HubServer;
let cache: string;
let waits: number[];

beforeEach(async () => {
  hub = await startHub(REPO, { 'README.md': '# tiny', [FILE]: BYTES });
  cache = await mkdtemp(join(tmpdir(), 'isthmus-hub-'));
  waits = [];
});

afterEach(async () => {
  await hub.close();
  await rm(cache, { recursive: true, force: true });
});

const bring = (options: Partial<HubModelOptions> = {}, address = `hf:${REPO}`) =>
  fetchHubModel(address, {
    hub: hub.url,
    cache,
    wait: async (ms) => void waits.push(ms),
    ...options,
  });

const holds = async (path: string) => (await readFile(path)).equals(BYTES);
const cdn = () => hub.seen.filter(({ at }) => at === 'cdn');
const partialOf = (bytes: Uint8Array) => join(cache, 'hub', 'partial', sha256(bytes));

describe('a file from a hub', () => {
  it('comes once, is verified and lies where the repository has it', async () => {
    const seen: number[] = [];
    const model = await bring({ onProgress: ({ bytes }) => seen.push(bytes) });
    expect(model).toMatchObject({ kind: 'gguf', name: 'tiny-GGUF' });
    expect(model.models).toEqual([join(cache, 'hub', 'models', 'maker--tiny-GGUF', hub.commit, FILE)]);
    expect(await holds(model.models[0] ?? '')).toBe(true);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(BYTES.byteLength);
    expect(model.plan).toMatchObject({ bytes: BYTES.byteLength, kept: 0, repo: REPO, commit: hub.commit });
    expect(await readdir(join(cache, 'hub', 'partial'))).toEqual([]);

    const again = await bring();
    expect(again.models).toEqual(model.models);
    expect(again.plan.kept).toBe(BYTES.byteLength);
    expect(cdn()).toHaveLength(1);
  });

  it('is the same file under another commit and revision', async () => {
    await bring();
    await bring({}, `hf:${REPO}@v1`);
    await bring({}, `hf:${REPO}@refs%2Fpr%2F1/${FILE}`);
    expect(cdn()).toHaveLength(1);
  });

  it('goes on by range over broken connections', async () => {
    const notices: string[] = [];
    hub.wrong.cutAfter = (answer) => [1_000_000, 0, 700_000][answer];
    const model = await bring({ onNotice: (text) => notices.push(text) });
    expect(await holds(model.models[0] ?? '')).toBe(true);
    const ranges = cdn().map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')?.[1]));
    expect(ranges).toHaveLength(4);
    expect(ranges).toEqual([...ranges].sort((a, b) => a - b));
    expect(ranges[1]).toBeGreaterThan(0);
    expect(ranges[3]).toBeGreaterThan(ranges[2] ?? 0);
    // Every later request names the object that the bytes here came from.
    expect(
      cdn()
        .slice(1)
        .every(({ ifRange }) => ifRange?.startsWith('"') === true),
    ).toBe(true);
    expect(notices.join('\n')).toContain('the connection broke at');
  });

  it('gives up on a link that brings nothing, keeps what came, and goes on at the next visit', async () => {
    hub.wrong.cutAfter = (answer) => (answer === 0 ? 2_000_000 : 0);
    await expect(bring()).rejects.toMatchObject({ code: 'endpoint-lost' });
    const kept = (await readFile(partialOf(BYTES))).byteLength;
    expect(kept).toBeGreaterThan(0);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    const before = cdn().length;
    delete hub.wrong.cutAfter;
    const model = await bring();
    expect(await holds(model.models[0] ?? '')).toBe(true);
    expect(
      cdn()
        .slice(before)
        .map(({ range }) => range),
    ).toEqual([`bytes=${kept}-`]);
  });

  it('ends in time when a server cuts every connection after some bytes', async () => {
    hub.wrong.cutAfter = () => 10;
    await expect(bring()).rejects.toMatchObject({ code: 'endpoint-lost' });
    expect(cdn().length).toBeLessThan(100);
  });

  it.each([false, true])('begins again when the object changed (If-Range ignored: %s)', async (ignored) => {
    hub.wrong.cutAfter = (answer) => (answer === 0 ? 1_000_000 : undefined);
    hub.wrong.cdnTag = (answer) => (answer === 0 ? '"old"' : '"new"');
    hub.wrong.ignoreIfRange = ignored;
    // The first answer had other bytes, as the tag says.
    let answers = 0;
    hub.wrong.content = (bytes) => (answers++ === 0 ? Buffer.alloc(bytes.byteLength, 7) : bytes);
    const model = await bring();
    expect(await holds(model.models[0] ?? '')).toBe(true);
    expect(cdn()[1]?.ifRange).toBe('"old"');
  });

  it('begins again with a server that knows no ranges', async () => {
    hub.wrong.ignoreRange = true;
    hub.wrong.cutAfter = (answer) => (answer === 0 ? 1_000_000 : undefined);
    const model = await bring();
    expect(await holds(model.models[0] ?? '')).toBe(true);
  });

  it('drops what an earlier visit left when it proves wrong', async () => {
    await mkdir(join(cache, 'hub', 'partial'), { recursive: true });
    await writeFile(partialOf(BYTES), new Uint8Array(500_000));
    const model = await bring();
    expect(await holds(model.models[0] ?? '')).toBe(true);
    expect(cdn().map(({ range }) => range)).toEqual(['bytes=500000-', undefined]);
  });

  it('drops what is longer than the file', async () => {
    await mkdir(join(cache, 'hub', 'partial'), { recursive: true });
    await writeFile(partialOf(BYTES), new Uint8Array(BYTES.byteLength + 1));
    await bring();
    expect(cdn().map(({ range }) => range)).toEqual([undefined]);
  });

  it('fetches again what was shortened in the cache', async () => {
    const model = await bring();
    await truncate(model.models[0] ?? '', 5);
    expect(await holds((await bring()).models[0] ?? '')).toBe(true);
  });

  it('refuses fresh bytes with another hash and keeps none of them', async () => {
    hub.wrong.content = (bytes) => Buffer.from(bytes).fill(1, 100, 101);
    await expect(bring()).rejects.toMatchObject({ code: 'bad-shard', details: { path: FILE } });
    expect((await readFile(partialOf(BYTES))).byteLength).toBe(0);
    expect(cdn()).toHaveLength(1);
  });

  it('refuses a small file with another git hash', async () => {
    hub.put('config.json', '{"model_type":"llama"}');
    hub.wrong.content = (bytes) => Buffer.from(bytes).fill('x', 3, 4);
    await expect(bring()).rejects.toMatchObject({ code: 'bad-shard', details: { path: 'config.json' } });
  });

  it.each([
    ['a longer body', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(9)]), 'endpoint-failed'],
    ['a shorter body', (bytes: Buffer) => bytes.subarray(0, 1000), 'endpoint-failed'],
  ])('refuses %s', async (_, content, code) => {
    hub.wrong.content = content;
    await expect(bring()).rejects.toMatchObject({ code });
  });

  it('refuses a redirect to other content than was listed', async () => {
    hub.wrong.linkedTag = 'a'.repeat(64);
    await expect(bring()).rejects.toMatchObject({ code: 'endpoint-failed' });
    expect(hub.sent()).toBeLessThan(BYTES.byteLength + 1);
  });

  it('stops when it is told to, and goes on later', async () => {
    const controller = new AbortController();
    const stopped = bring({
      signal: controller.signal,
      onProgress: ({ bytes }) => {
        if (bytes > 0) controller.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    const kept = (await readFile(partialOf(BYTES))).byteLength;
    expect(kept).toBeGreaterThan(0);
    await bring();
    expect(cdn().at(-1)?.range).toBe(kept === BYTES.byteLength ? cdn()[0]?.range : `bytes=${kept}-`);
  });
});

describe('the header of a file', () => {
  it('is fetched alone, and its bytes are not fetched twice', async () => {
    let head = new Uint8Array();
    await bring({
      checkGguf: async (source) => {
        expect(source.size).toBe(BYTES.byteLength);
        head = Uint8Array.from(await source.read(4, 96));
        await source.read(0, 2_000_000);
        expect(hub.sent()).toBe(2 ** 21);
      },
    });
    expect(head).toEqual(BYTES.slice(4, 100));
    expect(hub.sent()).toBe(BYTES.byteLength);
    expect(cdn().map(({ range }) => range)).toEqual([
      'bytes=0-1048575',
      'bytes=1048576-2097151',
      'bytes=2097152-',
    ]);
  });

  it('refuses a model before the rest of it comes', async () => {
    const plans: unknown[] = [];
    const refused = bring({
      checkGguf: async (source) => {
        await source.read(0, 10);
        throw new Error('not this one');
      },
      onPlan: (plan) => plans.push(plan),
    });
    await expect(refused).rejects.toThrow('not this one');
    expect(hub.sent()).toBe(2 ** 20);
    expect(plans).toEqual([]);
  });
});
