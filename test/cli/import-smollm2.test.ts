/** The real model of the tests, from a hub over a link that breaks. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { expect, it } from 'vitest';
import { MANIFEST_FILE, type Manifest } from '../../src/package/manifest.ts';
import { smollm2 } from '../fixtures/smollm2.ts';
import { startHub } from '../package/hub/hub-server.ts';
import { cli } from './cli.ts';

it('SmolLM2 imports from a hub', async (context) => {
  const model = await smollm2();
  if ('missing' in model) return context.skip(model.missing);
  const bytes = await readFile(model.path);
  const hub = await startHub('maker/smollm2', { 'smollm2.Q4_1.gguf': bytes });
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-smollm2-'));
  try {
    // Far beyond the pieces that the header comes in.
    hub.wrong.cutAfter = () => 30_000_000;
    const out = join(dir, 'package');
    const done = await cli(['import', 'hf:maker/smollm2', '--out', out, '--hub', hub.url, '--cache', dir]);
    expect(done.stderr).not.toContain('isthmus:');
    expect(done.stderr).toContain('the connection broke');
    const manifest = JSON.parse(await readFile(join(out, MANIFEST_FILE), 'utf8')) as Manifest;
    expect(manifest.text).toMatchObject({ contextLength: 8192, addBos: false });
    expect(manifest.text?.chatTemplate).toContain('<|im_start|>');
    const json = JSON.parse(await readFile(join(out, 'tokenizer.json'), 'utf8')) as object;
    const tokenizer = new Tokenizer(json, {});
    const end = tokenizer.encode('<|im_end|>', { add_special_tokens: false }).ids;
    expect(manifest.generation?.eosTokens).toEqual(expect.arrayContaining(end));
    expect(manifest.blocks.length).toBeGreaterThan(10);
  } finally {
    await hub.close();
    await rm(dir, { recursive: true, force: true });
  }
});
