import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isStale } from '../../demo/start/stale.mjs';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stale-'));
  await mkdir(join(folder, 'source', 'deep'), { recursive: true });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function touch(name: string, seconds: number): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, '');
  await utimes(path, seconds, seconds);
  return path;
}

it('is stale when absent, or older than a file deep in a source', async () => {
  const source = join(folder, 'source');
  const output = join(folder, 'output');
  await touch('source/deep/file', 1000);
  expect(await isStale(output, [source])).toBe(true);
  await touch('output', 2000);
  expect(await isStale(output, [source])).toBe(false);
  await touch('source/deep/file', 3000);
  expect(await isStale(output, [source])).toBe(true);
});

it('refuses a source that is not there', async () => {
  await touch('output', 1000);
  await expect(isStale(join(folder, 'output'), [join(folder, 'gone')])).rejects.toThrow('ENOENT');
});
