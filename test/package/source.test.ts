import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import { fetchManifestBytes, manifestUrl } from '../../src/package/manifest-bytes.ts';
import { MAX_MANIFEST_BYTES } from '../../src/package/manifest-limits.ts';
import { loadPackage } from '../../src/package/source.ts';
import type { BlobStore } from '../../src/storage/blob-store.ts';
import { createMemoryStore } from '../../src/storage/memory-store.ts';
import { ShardServer } from '../storage/shard-server.ts';
import { sampleFiles, sampleManifest } from './sample-manifest.ts';

const files = sampleFiles();
const manifest = sampleManifest(files);
const manifestBytes = new TextEncoder().encode(JSON.stringify(manifest));
const MANIFEST = 'models/sample/manifest.json';

let server: ShardServer;
let store: BlobStore;

beforeEach(async () => {
  server = await ShardServer.start(new Map([[MANIFEST, manifestBytes]]));
  for (const [path, bytes] of files) server.files.set(`models/sample/${path}`, bytes);
  store = createMemoryStore();
});
afterEach(() => server.stop());

describe('manifestUrl', () => {
  it.each([
    ['https://host/a', 'https://host/a/manifest.json'],
    ['https://host/a/', 'https://host/a/manifest.json'],
    ['https://host', 'https://host/manifest.json'],
    ['https://host/a/manifest.json', 'https://host/a/manifest.json'],
    ['https://host/a?version=2#top', 'https://host/a/manifest.json?version=2'],
  ])('%s -> %s', (url, expected) => expect(manifestUrl(url)).toBe(expected));

  it('refuses what is no URL where there is no page to be relative to', () => {
    expect(() => manifestUrl('models/a')).toThrow(expect.objectContaining({ code: 'bad-option' }));
  });
});

describe('fetchManifestBytes', () => {
  it.each([
    [404, 'bad-package'],
    [500, 'endpoint-failed'],
    [503, 'endpoint-lost'],
  ])('makes of status %i %s', async (status, code) => {
    server.behaviours.push({ status });
    await expect(fetchManifestBytes(server.url('models/sample'))).rejects.toMatchObject({ code });
  });

  it('reads no more than the bound', async () => {
    server.files.set(MANIFEST, new Uint8Array(MAX_MANIFEST_BYTES + 1));
    await expect(fetchManifestBytes(server.url('models/sample'))).rejects.toMatchObject({
      code: 'limit-exceeded',
    });
  });

  it('can be aborted', async () => {
    const url = server.url('models/sample');
    const controller = new AbortController();
    server.behaviours.push({ pause: { at: 10, after: 'hang' } });
    const fetching = fetchManifestBytes(url, { signal: controller.signal });
    controller.abort();
    await expect(fetching).rejects.toMatchObject({ code: 'aborted' });
  });

  it('that is cut off is a lost endpoint', async () => {
    server.behaviours.push({ pause: { at: 10, after: 'break' } });
    await expect(fetchManifestBytes(server.url('models/sample'))).rejects.toMatchObject({
      code: 'endpoint-lost',
    });
  });
});

describe('a package over HTTP', () => {
  it('gives the bytes of every file, each fetched once', async () => {
    const {
      source,
      fromCache,
      manifest: loaded,
    } = await loadPackage(server.url('models/sample/'), { store });
    expect([loaded, fromCache]).toEqual([manifest, false]);
    for (const path of [...files.keys(), ...files.keys()]) {
      expect(await source.read(path)).toEqual(files.get(path));
    }
    expect(server.requests).toHaveLength(1 + files.size);
  });

  it('knows how much of it is missing', async () => {
    const { source } = await loadPackage(server.url('models/sample'), { store });
    const paths = [...files.keys()];
    const total = [...files.values()].reduce((sum, bytes) => sum + bytes.byteLength, 0);
    const missing = async (of: readonly string[]) =>
      (await source.missingBytes(of)).reduce((sum, bytes) => sum + bytes, 0);
    expect(await source.missingBytes(paths)).toEqual([...files.values()].map((bytes) => bytes.byteLength));
    expect(await missing(paths)).toBe(total);
    await source.read('graphs/step.onnx');
    await store.appendPartial(manifest.files['tokenizer.json']?.sha256 ?? '', 0, new Uint8Array(150));
    expect(await missing(paths)).toBe(total - 900 - 150);
    expect(await source.missingBytes(['graphs/step.onnx'])).toEqual([0]);
    expect(await source.missingBytes([])).toEqual([]);
    await expect(source.missingBytes(['nothing'])).rejects.toMatchObject({ code: 'missing-shard' });
  });

  it('refuses files that the manifest does not name', async () => {
    const { source } = await loadPackage(server.url('models/sample'), { store });
    for (const path of ['x', 'constructor', 'manifest.json', '../sample/tokenizer.json']) {
      await expect(source.read(path)).rejects.toMatchObject({ code: 'missing-shard', details: { path } });
    }
    expect(server.requests).toHaveLength(1);
  });

  it('opens offline after a visit, and reads what is here', async () => {
    const url = server.url('models/sample');
    await (await loadPackage(url, { store })).source.read('tokenizer.json');
    await server.stop();
    const offline = await loadPackage(url, { store });
    expect([offline.fromCache, offline.manifest]).toEqual([true, manifest]);
    expect(await offline.source.read('tokenizer.json')).toEqual(files.get('tokenizer.json'));
    await expect(offline.source.read('graphs/step.onnx')).rejects.toMatchObject({
      code: 'endpoint-lost',
      details: { missing: 900 },
    });
    server = await ShardServer.start();
  });

  it('takes the manifest from who fetches it already, and the last one where that fails', async () => {
    const url = server.url('models/sample');
    const bytes = new TextEncoder().encode(JSON.stringify({ ...manifest, name: 'lent' }));
    const lent = await loadPackage(url, { store, manifest: async () => bytes });
    expect([lent.fromCache, lent.manifest.name]).toEqual([false, 'lent']);
    expect(server.requests).toEqual([]);
    const failing = async (): Promise<never> => {
      throw new IsthmusError('endpoint-lost', 'no network');
    };
    const again = await loadPackage(url, { store, manifest: failing });
    expect([again.fromCache, again.manifest.name]).toEqual([true, 'lent']);
    const broken = loadPackage(url, {
      store,
      manifest: async () => new TextEncoder().encode('<!doctype html>'),
    });
    await expect(broken).rejects.toMatchObject({ code: 'bad-package' });
    expect(server.requests).toEqual([]);
  });

  it('does not open offline without a visit', async () => {
    const url = server.url('models/sample');
    await server.stop();
    await expect(loadPackage(url, { store })).rejects.toMatchObject({ code: 'endpoint-lost' });
    server = await ShardServer.start();
  });

  it('sees a new import', async () => {
    const url = server.url('models/sample');
    await loadPackage(url, { store });
    const renewed = { ...manifest, name: 'renewed' };
    server.files.set(MANIFEST, new TextEncoder().encode(JSON.stringify(renewed)));
    expect((await loadPackage(url, { store })).manifest).toEqual(renewed);
    server.behaviours.push({ status: 503 });
    expect(await loadPackage(url, { store })).toMatchObject({ manifest: renewed, fromCache: true });
  });

  it('does not hide a broken deployment behind the stored manifest', async () => {
    const url = server.url('models/sample');
    await loadPackage(url, { store });
    server.files.set(MANIFEST, new TextEncoder().encode('{}'));
    await expect(loadPackage(url, { store })).rejects.toMatchObject({ code: 'bad-package' });
    server.files.delete(MANIFEST);
    await expect(loadPackage(url, { store })).rejects.toMatchObject({ code: 'bad-package' });
  });

  it('opens although nothing can be stored, and says so', async () => {
    const full = () => Promise.reject(new IsthmusError('storage-failed', 'full'));
    const broken: BlobStore = { ...store, put: full, get: full };
    const warnings: IsthmusError[] = [];
    const options = { store: broken, onWarning: (error: IsthmusError) => void warnings.push(error) };
    const { source } = await loadPackage(server.url('models/sample'), options);
    expect(await source.read('tokenizer.json')).toEqual(files.get('tokenizer.json'));
    expect(warnings.map(({ code }) => code)).toEqual(['storage-failed', 'storage-failed']);
  });
});
