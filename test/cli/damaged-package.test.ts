/** Packages that were damaged, as the command line reports them; and audio files that are none. */
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readAudio } from '../../src/cli/read-audio.ts';
import { MANIFEST_FILE, type Manifest } from '../../src/package/manifest.ts';
import { cli } from './cli.ts';
import { type TinyFiles, TOKEN_FLAGS, tinyFiles } from './tiny-files.ts';

let files: TinyFiles;
let whole: string;
let damaged: string;

beforeAll(async () => {
  files = await tinyFiles();
  whole = join(files.dir, 'whole');
  damaged = join(files.dir, 'damaged');
  expect(await cli(['import', files.encoder, files.decoder, '--out', whole, ...TOKEN_FLAGS])).toMatchObject({
    code: 0,
  });
});

beforeEach(async () => {
  await rm(damaged, { recursive: true, force: true });
  await cp(whole, damaged, { recursive: true });
});

afterAll(async () => {
  await rm(files.dir, { recursive: true, force: true });
});

/** Any file that a span needs: the step's graph. */
async function graphFile(): Promise<string> {
  const manifest = JSON.parse(await readFile(join(whole, MANIFEST_FILE), 'utf8')) as Manifest;
  const stage = manifest.stages.find(({ kind }) => kind === 'loop');
  if (stage?.kind !== 'loop') throw new Error('no decoder');
  return join(damaged, stage.graphs.step);
}

async function changeManifest(change: Record<string, unknown>): Promise<void> {
  const path = join(damaged, MANIFEST_FILE);
  await writeFile(
    path,
    JSON.stringify({ ...(JSON.parse(await readFile(path, 'utf8')) as object), ...change }),
  );
}

describe('a damaged package', () => {
  it.each<[string, string, () => Promise<unknown>]>([
    [
      'a changed byte',
      'bad-shard',
      async () => {
        const bytes = await readFile(await graphFile());
        bytes[9] = (bytes[9] ?? 0) ^ 1;
        await writeFile(await graphFile(), bytes);
      },
    ],
    ['a file that was cut off', 'bad-shard', async () => writeFile(await graphFile(), 'short')],
    ['a file that is gone', 'missing-shard', async () => rm(await graphFile())],
    ['a manifest of another version', 'bad-package', () => changeManifest({ version: 99 })],
    ['a manifest of something else', 'bad-package', () => changeManifest({ format: 'zip' })],
    ['a manifest without stages', 'bad-package', () => changeManifest({ stages: [] })],
    [
      'a manifest that is cut off',
      'bad-package',
      () => writeFile(join(damaged, MANIFEST_FILE), '{"format": "isth'),
    ],
    ['no manifest', 'bad-package', () => rm(join(damaged, MANIFEST_FILE))],
  ])('with %s: %s', async (_, code, damage) => {
    await damage();
    const failed = await cli(['verify', damaged]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain(`[${code}]`);
  });

  it('that is whole is fine', async () => {
    expect(await readdir(damaged)).toEqual(await readdir(whole));
    expect(await cli(['verify', damaged, '--cut', '1'])).toMatchObject({ code: 0 });
  });
});

describe('audio files', () => {
  it('raw ones are 16-bit numbers at the rate of the model', async () => {
    const path = join(files.dir, 'a.raw');
    await writeFile(path, Uint8Array.of(0, 0x40, 0, 0x80, 1, 0));
    expect([...(await readAudio(path, 8000))]).toEqual([0.5, -1, 1 / 32768]);
  });

  it.each([
    ['odd.raw', Uint8Array.of(1, 2, 3)],
    ['empty.raw', new Uint8Array(0)],
    ['text.wav', new TextEncoder().encode('hello')],
  ])('%s is refused', async (name, bytes) => {
    const path = join(files.dir, name);
    await writeFile(path, bytes);
    await expect(readAudio(path, 8000)).rejects.toMatchObject({ code: 'bad-input' });
  });

  it('that are not there are refused', async () => {
    await expect(readAudio(join(files.dir, 'no.wav'), 8000)).rejects.toMatchObject({ code: 'bad-input' });
  });
});
