import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MANIFEST_FILE, type Manifest } from '../../src/package/manifest.ts';
import { TINY } from '../fixtures/tiny-models.ts';
import { type HubServer, startHub } from '../package/hub/hub-server.ts';
import { cli } from './cli.ts';
import { TEMPLATE, tinyGguf, tinyOnnxFiles } from './text-models.ts';
import { tinyFiles } from './tiny-files.ts';

let dir: string;
let hub: HubServer | undefined;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'isthmus-text-'));
});

afterEach(async () => {
  await hub?.close();
  await rm(dir, { recursive: true, force: true });
});

const importFrom = (address: string, ...flags: string[]) =>
  cli(
    [
      'import',
      address,
      '--out',
      join(dir, 'package'),
      '--name',
      'tiny',
      '--cache',
      join(dir, 'cache'),
      ...flags,
    ],
    { env: { HF_ENDPOINT: hub?.url ?? '' } },
  );

async function made(): Promise<Manifest> {
  return JSON.parse(await readFile(join(dir, 'package', MANIFEST_FILE), 'utf8')) as Manifest;
}

const resolved = () =>
  (hub?.seen ?? []).flatMap(({ url }) => /\/resolve\/[0-9a-f]+\/(.*)$/.exec(url)?.[1] ?? []);

describe('isthmus import from a hub', () => {
  it('takes the GGUF of a repository, says its size before, and fetches it once', async () => {
    const bytes = await tinyGguf();
    hub = await startHub('maker/tiny', { 'tiny-q8_0.gguf': bytes });
    const first = await importFrom('hf:maker/tiny');
    expect(first.stderr).not.toContain('isthmus:');
    expect(first.code).toBe(0);
    const said = first.stderr.indexOf(
      `maker/tiny (tiny-q8_0.gguf): 1 file, ${(bytes.byteLength / 1e3).toFixed(1)} kB to download`,
    );
    expect(said).toBeGreaterThan(0);
    expect(first.stderr.indexOf('downloaded ')).toBeGreaterThan(said);
    expect((await made()).text?.chatTemplate).toBe(TEMPLATE);
    const sent = hub.sent();
    expect(sent).toBe(bytes.byteLength);
    const again = await importFrom('hf:maker/tiny/tiny-q8_0.gguf');
    expect(again.stderr).toContain('all of it is here');
    expect(hub.sent()).toBe(sent);
  });

  it('takes the files of one export and no others', async () => {
    hub = await startHub('maker/tiny', tinyOnnxFiles());
    const done = await importFrom('hf:maker/tiny', '--variant', 'q4', '--progress', 'json');
    expect(done.stdout).toContain('tiny: ');
    expect(resolved().sort()).toEqual([
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'onnx/model_q4.onnx',
      'onnx/model_q4.onnx_data',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect((await made()).generation?.eosTokens).toEqual([6, 7, 8]);
    const events = done.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; bytes?: number; total?: number });
    const downloads = events.filter(({ event }) => event === 'download');
    expect(downloads.at(-1)?.bytes).toBe(downloads.at(-1)?.total);
  });

  it('takes an encoder and its decoder as it takes their files', async () => {
    const files = await tinyFiles();
    hub = await startHub('maker/ears', {
      'onnx/encoder_model.onnx': await readFile(files.encoder),
      'onnx/decoder_model_merged.onnx': await readFile(files.decoder),
      'config.json': JSON.stringify({ decoder_start_token_id: TINY.bosToken, eos_token_id: TINY.eosToken }),
      'preprocessor_config.json': '{"sampling_rate": 16000}',
    });
    const done = await importFrom('hf:maker/ears');
    await rm(files.dir, { recursive: true, force: true });
    expect(done.stderr).not.toContain('isthmus:');
    const manifest = await made();
    expect(manifest.stages.map(({ kind }) => kind)).toEqual(['once', 'loop']);
    expect(manifest.generation).toMatchObject({ bosToken: TINY.bosToken, eosTokens: [TINY.eosToken] });
    expect(manifest.audio?.sampleRate).toBe(16_000);
    expect(manifest.text).toBeUndefined();
  });

  it.each([
    ['architecture', { architecture: 'mamba' }, 'mamba'],
    ['tensor type', { tensorType: 16 }, 'IQ2_XXS'],
  ])('refuses a GGUF by its %s before its weights are fetched', async (_, options, said) => {
    const header = await tinyGguf(options);
    const large = new Uint8Array(header.byteLength + 5_000_000);
    large.set(header);
    hub = await startHub('maker/tiny', { 'tiny.gguf': large });
    const failed = await importFrom('hf:maker/tiny');
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain(said);
    expect(failed.stderr).toContain('[unsupported-model]');
    expect(failed.stderr).not.toContain('to download');
    expect(hub.sent()).toBeLessThan(2_000_000);
  });

  it('refuses a graph that cannot be read before its data is fetched', async () => {
    hub = await startHub('maker/tiny', { ...tinyOnnxFiles(), 'onnx/model_q4.onnx': 'no graph at all' });
    const failed = await importFrom('hf:maker/tiny', '--variant', 'q4');
    expect(failed.stderr).toContain('[bad-model]');
    expect(resolved()).toContain('onnx/model_q4.onnx');
    expect(resolved()).not.toContain('onnx/model_q4.onnx_data');
  });

  it('refuses before any download when the package cannot be written', async () => {
    hub = await startHub('maker/tiny', { 'tiny.gguf': await tinyGguf(), 'x.txt': 'x' });
    const failed = await cli(['import', 'hf:maker/tiny', '--out', import.meta.dirname, '--hub', hub.url]);
    expect(failed.stderr).toContain('[bad-option]');
    expect(hub.seen).toEqual([]);
  });

  it('takes address and token from flags before the environment, and never shows the token', async () => {
    hub = await startHub('maker/tiny', { 'tiny.gguf': await tinyGguf() });
    hub.wrong.token = 'hf_flag';
    const args = [
      'import',
      'hf:maker/tiny',
      '--out',
      join(dir, 'p'),
      '--cache',
      join(dir, 'c'),
      '--hub',
      hub.url,
    ];
    const env = { HF_ENDPOINT: 'http://127.0.0.1:9', HF_TOKEN: 'hf_env' };
    const refused = await cli(args, { env });
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain('refused the token');
    expect(refused.stderr).not.toContain('hf_env');
    expect(await cli([...args, '--token', 'hf_flag'], { env })).toMatchObject({ code: 0 });
  });

  it('lists what there is when several are meant', async () => {
    hub = await startHub('maker/tiny', { 'a.gguf': new Uint8Array(2000), 'b.gguf': new Uint8Array(3000) });
    const asked = await importFrom('hf:maker/tiny');
    expect(asked.stderr).toContain('which GGUF?');
    expect(asked.stderr).toContain('  b.gguf (3.0 kB)');
    expect(asked.stderr).toContain('hf:ORG/NAME/file.gguf');
    expect(await importFrom('hf:maker/tiny', 'other.onnx')).toMatchObject({ code: 2 });
  });
});
