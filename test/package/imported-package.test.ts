/** What the importer makes is what readers take: the two were written apart. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { importModel } from '../../src/package/import/import-model.ts';
import { openPackage } from '../../src/package/node/open-package.ts';
import { writePackage } from '../../src/package/node/write-package.ts';
import { nodeProber } from '../../src/runtime/node/ort-node.ts';
import { tinyEncoderDecoder, tinyOnce } from '../fixtures/tiny-models.ts';

const root = await mkdtemp(join(tmpdir(), 'isthmus-imported-'));
afterAll(() => rm(root, { recursive: true, force: true }));

const { encoder, decoder } = tinyEncoderDecoder();

it.each([
  ['once', [{ name: 'once', model: tinyOnce() }]],
  [
    'speech',
    [
      { name: 'encoder', model: encoder },
      { name: 'decoder', model: decoder },
    ],
  ],
])('an imported %s package is written, opened and read whole', async (name, sources) => {
  const hash = async (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const { manifest, files } = await importModel(sources, { name }, { probe: nodeProber, hash });
  const dir = join(root, name);
  await writePackage(dir, manifest, files);
  const opened = await openPackage(dir);
  expect(opened.manifest).toEqual(manifest);
  for (const [path, bytes] of files) {
    expect(Buffer.compare(await opened.source.read(path), bytes)).toBe(0);
  }
});
