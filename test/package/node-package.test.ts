import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { openPackage } from '../../src/package/node/open-package.ts';
import { writePackage } from '../../src/package/node/write-package.ts';
import { sampleBytes, sampleFiles, sampleManifest } from './sample-manifest.ts';

const root = await mkdtemp(join(tmpdir(), 'isthmus-package-'));
afterAll(() => rm(root, { recursive: true, force: true }));

const files = sampleFiles();
const manifest = sampleManifest(files);
const otherFiles = sampleFiles(2000);
const otherManifest = sampleManifest(otherFiles);

let parent: string;
let dir: string;
beforeEach(async () => {
  parent = await mkdtemp(join(root, 'case-'));
  dir = join(parent, 'package');
});

async function expectWhole(expected = files, expectedManifest = manifest): Promise<void> {
  const opened = await openPackage(dir);
  expect(opened.manifest).toEqual(expectedManifest);
  for (const [path, bytes] of expected) expect(await opened.source.read(path)).toEqual(bytes);
  const names = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  expect(names).toHaveLength(expected.size + 1);
  expect(await readdir(parent)).toEqual(['package']);
}

describe('writePackage', () => {
  it('writes what openPackage reads, from a map or a generator', async () => {
    await writePackage(dir, manifest, files);
    await expectWhole();
    async function* generated() {
      yield* otherFiles;
    }
    await writePackage(dir, otherManifest, generated());
    await expectWhole(otherFiles, otherManifest);
  });

  it('makes the parents and fills an empty folder', async () => {
    dir = join(parent, 'package', 'inner');
    await writePackage(dir, manifest, files);
    expect((await openPackage(dir)).manifest).toEqual(manifest);
    await mkdir(join(parent, 'empty'));
    await writePackage(join(parent, 'empty'), manifest, files);
    expect((await openPackage(join(parent, 'empty'))).manifest).toEqual(manifest);
  });

  it('replaces a package of another version', async () => {
    await mkdir(dir);
    await writeFile(join(dir, 'manifest.json'), '{"format":"isthmus-package","version":99}');
    await writePackage(dir, manifest, files);
    await expectWhole();
  });

  it.each([
    ['other files', { 'thesis.txt': 'years of work' }],
    ['a manifest of something else', { 'manifest.json': '{"name":"a web app"}' }],
    ['a manifest that is no JSON', { 'manifest.json': 'hello' }],
  ])('refuses a folder with %s and leaves it alone', async (_, content) => {
    await mkdir(dir);
    for (const [name, text] of Object.entries(content)) await writeFile(join(dir, name), text);
    await expect(writePackage(dir, manifest, files)).rejects.toMatchObject({ code: 'bad-option' });
    for (const [name, text] of Object.entries(content)) {
      expect(await readFile(join(dir, name), 'utf8')).toBe(text);
    }
    expect(await readdir(parent)).toEqual(['package']);
  });

  it('refuses a file in the place of the folder', async () => {
    await writeFile(dir, 'a file');
    await expect(writePackage(dir, manifest, files)).rejects.toMatchObject({ code: 'bad-option' });
    expect(await readFile(dir, 'utf8')).toBe('a file');
  });

  const wrong = new Map(files).set('tokenizer.json', sampleBytes(400, 99));
  const extra = new Map(files).set('extra.bin', sampleBytes(4, 1));
  const fewer = new Map([...files].slice(1));
  it.each([
    ['bad-shard', wrong],
    ['missing-shard', extra],
    ['missing-shard', fewer],
  ])('fails with %s and leaves the old package as it was', async (code, given) => {
    await writePackage(dir, otherManifest, otherFiles);
    await expect(writePackage(dir, manifest, given)).rejects.toMatchObject({ code });
    await expectWhole(otherFiles, otherManifest);
  });

  it('leaves nothing behind when the files stop coming', async () => {
    async function* failing() {
      yield* [...files].slice(0, 3);
      throw new Error('the importer failed');
    }
    await expect(writePackage(dir, manifest, failing())).rejects.toThrow('the importer failed');
    expect(await readdir(parent)).toEqual([]);
  });

  it('refuses a manifest that no reader would take', async () => {
    await expect(writePackage(dir, { ...manifest, cuts: [] }, files)).rejects.toMatchObject({
      code: 'bad-package',
    });
    expect(await readdir(parent)).toEqual([]);
  });
});

describe('openPackage', () => {
  const path = 'graphs/step.onnx';

  it.each([
    ['no folder', async () => undefined],
    ['no manifest', () => mkdir(dir)],
    ['a folder as manifest', () => mkdir(join(dir, 'manifest.json'), { recursive: true })],
  ])('refuses %s', async (_, prepare) => {
    await prepare();
    await expect(openPackage(dir)).rejects.toMatchObject({ code: 'bad-package' });
  });

  it('finds files that are missing, damaged, cut off or not named', async () => {
    await writePackage(dir, manifest, files);
    const { source } = await openPackage(dir);
    const whole = await readFile(join(dir, path));
    await writeFile(join(dir, path), whole.subarray(1));
    await expect(source.read(path)).rejects.toMatchObject({ code: 'bad-shard', details: { path } });
    const damaged = new Uint8Array(whole);
    damaged[5] = (damaged[5] ?? 0) ^ 1;
    await writeFile(join(dir, path), damaged);
    await expect(source.read(path)).rejects.toMatchObject({ code: 'bad-shard', details: { path } });
    await rm(join(dir, path));
    await expect(source.read(path)).rejects.toMatchObject({ code: 'missing-shard', details: { path } });
    await mkdir(join(dir, path));
    await expect(source.read(path)).rejects.toMatchObject({ details: { path } });
    for (const unnamed of ['../package/tokenizer.json', 'manifest.json', 'constructor']) {
      await expect(source.read(unnamed)).rejects.toMatchObject({ code: 'missing-shard' });
    }
  });

  it('gives buffers that the caller owns, tells progress and can be aborted', async () => {
    await writePackage(dir, manifest, files);
    const { source } = await openPackage(dir);
    const progress: (readonly [number, number])[] = [];
    const first = await source.read(path, { onProgress: (done, total) => progress.push([done, total]) });
    expect(progress.at(-1)).toEqual([900, 900]);
    expect(first.byteOffset).toBe(0);
    first.fill(0);
    expect(await source.read(path)).toEqual(files.get(path));
    await expect(source.read(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'aborted',
    });
  });
});
