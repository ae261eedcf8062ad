import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MANIFEST_FILE, type Manifest } from '../../src/package/manifest.ts';
import { cli } from './cli.ts';
import { BEGIN, END, TEMPLATE, tinyGguf, tinyOnnxFiles } from './text-models.ts';

let dir: string;
let gguf: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'isthmus-text-'));
  gguf = join(dir, 'tiny.gguf');
  await writeFile(gguf, await tinyGguf());
});

afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function manifestOf(out: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(out, MANIFEST_FILE), 'utf8')) as Manifest;
}

async function folderOf(name: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const folder = join(dir, name);
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  return folder;
}

describe('isthmus import of a GGUF', () => {
  it('makes a package of graph, tokenizer and template', async () => {
    const out = join(dir, 'from-gguf');
    const made = await cli(['import', gguf, '--out', out, '--json']);
    expect(made.stderr).not.toContain('isthmus:');
    expect(made.code).toBe(0);
    const manifest = await manifestOf(out);
    expect(manifest.text).toEqual({
      contextLength: 256,
      specialTokens: { bos_token: '<|begin|>', eos_token: '<|end|>' },
      exactRows: true,
      addBos: false,
      chatTemplate: TEMPLATE,
    });
    expect(manifest.generation).toMatchObject({ bosToken: BEGIN, eosTokens: [END], maxTokens: 256 });
    expect(manifest.tokenizer).toEqual({ tokenizer: 'tokenizer.json', config: 'tokenizer_config.json' });
    // A block for the embedding, one for each layer, one for the head.
    expect(manifest.blocks).toHaveLength(6);
    const summary = JSON.parse(made.stdout) as { notes: string[] };
    expect(summary.notes.join('\n')).toContain('matrices of type F32 are kept as int8');
    // One line for the phase, not one for each layer.
    expect(made.stderr.match(/^building: /gm)).toHaveLength(1);
  });

  it('takes what the user says before what the file says', async () => {
    const out = join(dir, 'flagged');
    const flags = ['--context', '32', '--max-tokens', '9', '--eos', '3,4', '--bos', '2', '--name', 'n'];
    expect(await cli(['import', gguf, '--out', out, ...flags])).toMatchObject({ code: 0 });
    const manifest = await manifestOf(out);
    expect(manifest).toMatchObject({
      name: 'n',
      text: { contextLength: 32 },
      generation: { bosToken: 2, eosTokens: [3, 4], maxTokens: 9 },
    });
  });

  it.each([
    ['another architecture', { architecture: 'mamba' }, 'mamba'],
    ['another type of tensor', { tensorType: 16 }, 'IQ2_XXS'],
    ['another tokenizer', { metadata: { 'tokenizer.ggml.model': 'rwkv' } }, 'rwkv'],
  ])('refuses %s by its name', async (name, options, said) => {
    const path = join(dir, `${name}.gguf`);
    await writeFile(path, await tinyGguf(options));
    const failed = await cli(['import', path, '--out', join(dir, 'none')]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain(said);
    expect(failed.stderr).toContain('[unsupported-model]');
    expect(existsSync(join(dir, 'none'))).toBe(false);
  });

  it('refuses what is not there, is no GGUF, or comes with others', async () => {
    const out = join(dir, 'none');
    const missing = await cli(['import', join(dir, 'no.gguf'), '--out', out]);
    expect(missing.stderr).toContain('[bad-model]');
    const broken = join(dir, 'broken.gguf');
    await writeFile(broken, 'GGML and more than a few bytes of it');
    expect((await cli(['import', broken, '--out', out])).stderr).toContain('[bad-model]');
    expect(await cli(['import', gguf, 'x.onnx', '--out', out])).toMatchObject({ code: 2 });
  });
});

describe('isthmus import of a folder', () => {
  it('reads how the model is used from all of its files', async () => {
    const out = join(dir, 'from-folder');
    const folder = await folderOf('repo', tinyOnnxFiles());
    const made = await cli(['import', folder, '--out', out]);
    expect(made.stderr).not.toContain('isthmus:');
    expect(made.code).toBe(0);
    const manifest = await manifestOf(out);
    expect(manifest.text).toEqual({
      contextLength: 64,
      specialTokens: { bos_token: '<s>', eos_token: '<|end|>' },
      addBos: false,
      chatTemplate: TEMPLATE,
      sampling: { temperature: 0.6, topP: 0.9 },
    });
    expect(manifest.generation).toEqual({ bosToken: 5, eosTokens: [6, 7, 8], maxTokens: 64 });
    expect(made.stderr).toContain(join('onnx', 'model.onnx'));
  });

  it('takes the variant that is named, with its external data', async () => {
    const folder = await folderOf('repo', tinyOnnxFiles());
    const plain = join(dir, 'plain');
    const apart = join(dir, 'apart');
    expect(await cli(['import', folder, '--out', plain, '--name', 'x'])).toMatchObject({ code: 0 });
    const made = await cli(['import', folder, '--out', apart, '--name', 'x', '--variant', 'q4']);
    expect(made.stderr).toContain('model_q4.onnx');
    // The same weights from another file make the same package.
    expect(await manifestOf(apart)).toEqual(await manifestOf(plain));
    const none = await cli(['import', folder, '--out', join(dir, 'none'), '--variant', 'q2']);
    expect(none.stderr).toMatch(/no variant 'q2'.*fp32.*q4/);
    expect(none.stderr).toContain('[bad-option]');
  });

  it('finds them for a single file too', async () => {
    const folder = await folderOf('repo', tinyOnnxFiles());
    const out = join(dir, 'single');
    const made = await cli(['import', join(folder, 'onnx', 'model.onnx'), '--out', out]);
    expect(made.code).toBe(0);
    expect((await manifestOf(out)).text?.chatTemplate).toBe(TEMPLATE);
  });

  it.each([
    ['nothing', { 'config.json': '{}' }, 'bad-model'],
    ['broken JSON', { 'config.json': '{', 'onnx/model.onnx': 'x' }, 'bad-model'],
    [
      'parts that no package holds',
      {
        'config.json': '{"model_type":"seer"}',
        'onnx/decoder_model_merged.onnx': 'x',
        'onnx/vision_encoder.onnx': 'x',
      },
      'unsupported-model',
    ],
    ['several and none in full', { 'onnx/model_q4.onnx': 'x', 'onnx/model_fp16.onnx': 'x' }, 'bad-option'],
  ])('refuses one with %s', async (name, files, code) => {
    const folder = await folderOf(`bad ${name}`, files as Record<string, string>);
    const failed = await cli(['import', folder, '--out', join(dir, 'none')]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain(`[${code}]`);
    if (code === 'unsupported-model') expect(failed.stderr).toContain('seer');
  });
});
