/** Tiny models as files, in a folder of their own. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeModel } from '../../src/graph/onnx-write.ts';
import { TINY, tinyEncoderDecoder, tinyOnce } from '../fixtures/tiny-models.ts';

export interface TinyFiles {
  readonly dir: string;
  readonly encoder: string;
  readonly decoder: string;
  readonly once: string;
}

export async function tinyFiles(): Promise<TinyFiles> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-cli-'));
  const { encoder, decoder } = tinyEncoderDecoder();
  const files = {
    dir,
    encoder: join(dir, 'encoder.onnx'),
    decoder: join(dir, 'decoder.onnx'),
    once: join(dir, 'once.onnx'),
  };
  await writeFile(files.encoder, writeModel(encoder));
  await writeFile(files.decoder, writeModel(decoder));
  await writeFile(files.once, writeModel(tinyOnce()));
  return files;
}

export const TOKEN_FLAGS = ['--bos', String(TINY.bosToken), '--eos', String(TINY.eosToken)];
