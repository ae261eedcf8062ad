/** Packages that endpoint tests serve, imported from tiny models and kept in memory or in a folder. */
import { createHash } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ImportedPackage, importModel } from '../../src/package/import/import-model.ts';
import { type OpenedPackage, openPackage } from '../../src/package/node/open-package.ts';
import { writePackage } from '../../src/package/node/write-package.ts';
import { nodeProber } from '../../src/runtime/node/ort-node.ts';
import { TINY, tinyEncoderDecoder, tinyOnce } from '../fixtures/tiny-models.ts';

const tools = {
  probe: nodeProber,
  hash: async (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex'),
};

export function importSpeech(
  name = 'speech',
  eosTokens: readonly number[] = [TINY.eosToken],
): Promise<ImportedPackage> {
  const { encoder, decoder } = tinyEncoderDecoder();
  return importModel(
    [
      { name: 'encoder', model: encoder },
      { name: 'decoder', model: decoder },
    ],
    {
      name,
      generation: { bosToken: TINY.bosToken, eosTokens, maxTokens: 64 },
      files: { 'tokenizer.json': new TextEncoder().encode('{"made": "for this test"}') },
    },
    tools,
  );
}

export function importOnce(name = 'once'): Promise<ImportedPackage> {
  return importModel([{ name: 'encoder', model: tinyOnce() }], { name }, tools);
}

/** Written to a fresh folder and opened from there. */
export async function onDisk({ manifest, files }: ImportedPackage): Promise<OpenedPackage> {
  const dir = join(await mkdtemp(join(tmpdir(), 'isthmus-endpoint-')), 'package');
  await writePackage(dir, manifest, files);
  return openPackage(dir);
}
