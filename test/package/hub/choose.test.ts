import { describe, expect, it } from 'vitest';
import { chooseFiles, type Wish } from '../../../src/package/node/hub/choose.ts';
import type { HubListing } from '../../../src/package/node/hub/listing.ts';

const listing = (paths: readonly string[]): HubListing => ({
  repo: 'maker/model',
  commit: '0'.repeat(40),
  files: paths.map((path, index) => ({
    path,
    bytes: 1000 * (index + 1),
    hash: { kind: 'sha256', hex: `${index}`.padStart(64, '0') },
  })),
});

function chosen(paths: readonly string[], wish: Wish = {}, modelType?: string): string[] {
  const choice = chooseFiles(listing(paths), wish, modelType);
  const files =
    choice.kind === 'gguf' ? [choice.model] : [...choice.configs, ...choice.graphs, ...choice.data];
  return files.map(({ path }) => path);
}

const refusal = (paths: readonly string[], wish: Wish = {}, modelType?: string) => {
  try {
    chosen(paths, wish, modelType);
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it was not refused');
};

describe('of GGUF files', () => {
  const family = (...types: string[]) => types.map((type) => `gguf/Model-1B-${type}.gguf`);

  it.each([
    [['a.gguf'], {}, 'a.gguf'],
    [['a.gguf', 'mmproj-a.gguf', 'imatrix.gguf'], {}, 'a.gguf'],
    [family('Q2_K', 'Q4_0', 'Q4_K_M', 'Q8_0'), {}, 'gguf/Model-1B-Q4_K_M.gguf'],
    [family('q2_k', 'q4_0', 'q8_0', 'F16'), {}, 'gguf/Model-1B-q4_0.gguf'],
    [family('IQ4_XS', 'Q8_0', 'BF16'), {}, 'gguf/Model-1B-Q8_0.gguf'],
    [family('Q4_0', 'Q8_0'), { variant: 'q8_0' }, 'gguf/Model-1B-Q8_0.gguf'],
    [['a.gguf', 'b.gguf'], { file: 'b.gguf' }, 'b.gguf'],
    [['a.Q4_0.gguf', 'onnx/model.onnx'], { variant: 'Q4_0' }, 'a.Q4_0.gguf'],
  ])('%j with %j: %s', (paths, wish, path) => {
    expect(chosen(paths, wish)).toEqual([path]);
  });

  it.each([
    [['small-Q4_0.gguf', 'large-Q4_0.gguf'], {}, 'which GGUF?'],
    [['small-Q4_K_M.gguf', 'large-Q8_0.gguf'], {}, 'which GGUF?'],
    [family('F16', 'F32'), {}, 'which GGUF?'],
    [family('Q4_0'), { variant: 'Q5_0' }, "'Q5_0'"],
    [['a.gguf'], { file: 'b.gguf' }, "no file 'b.gguf'"],
    [['a.gguf', 'README.md'], { file: 'README.md' }, 'no GGUF'],
    [['a.Q4_0.gguf', 'onnx/model.onnx'], {}, 'which?'],
  ])('asks about %j with %j', (paths, wish, said) => {
    const error = refusal(paths, wish);
    expect(error.code).toBe('bad-option');
    expect(error.message).toContain(said);
  });

  it('refuses a file in pieces, named or found', () => {
    const pieces = ['m-00001-of-00002.gguf'];
    expect(refusal(pieces)).toMatchObject({ code: 'unsupported-model' });
    expect(refusal(pieces, { file: pieces[0] })).toMatchObject({ code: 'unsupported-model' });
  });
});

describe('of ONNX exports', () => {
  const exported = [
    'config.json',
    'onnx/model.onnx',
    'onnx/model.onnx_data',
    'onnx/model.onnx_data_1',
    'onnx/model_fp16.onnx',
    'onnx/model_q4.onnx',
    'onnx/model_q4.onnx_data',
    'onnx/model_q4f16.onnx',
    'onnx/model_quantized.onnx',
    'onnx/model_q4.onnx_database',
    'tokenizer.json',
    'vocab.txt',
  ];

  it.each([
    [undefined, ['onnx/model.onnx', 'onnx/model.onnx_data', 'onnx/model.onnx_data_1']],
    ['fp32', ['onnx/model.onnx', 'onnx/model.onnx_data', 'onnx/model.onnx_data_1']],
    ['q4', ['onnx/model_q4.onnx', 'onnx/model_q4.onnx_data']],
    ['q4f16', ['onnx/model_q4f16.onnx']],
    ['q8', ['onnx/model_quantized.onnx']],
    ['quantized', ['onnx/model_quantized.onnx']],
  ])('variant %s has its own data', (variant, paths) => {
    expect(chosen(exported, { variant })).toEqual(['config.json', 'tokenizer.json', ...paths]);
  });

  it('takes the only one, and asks where none is in full precision', () => {
    expect(chosen(['onnx/model_q4.onnx'])).toEqual(['onnx/model_q4.onnx']);
    expect(refusal(['onnx/model_q4.onnx', 'onnx/model_fp16.onnx']).message).toMatch(/q4 \(1\.0 kB\), fp16/);
  });

  it('takes an encoder with its decoder, of one variant', () => {
    const parts = ['encoder_model', 'decoder_model', 'decoder_with_past_model', 'decoder_model_merged'];
    const paths = parts.flatMap((part) => [`onnx/${part}.onnx`, `onnx/${part}_q8f16.onnx`]);
    expect(chosen(paths)).toEqual(['onnx/encoder_model.onnx', 'onnx/decoder_model_merged.onnx']);
    expect(chosen(paths, { variant: 'q8f16' })).toEqual([
      'onnx/encoder_model_q8f16.onnx',
      'onnx/decoder_model_merged_q8f16.onnx',
    ]);
    expect(chosen(['decoder_model_merged.onnx'])).toEqual(['decoder_model_merged.onnx']);
  });

  it('names a model whose parts no package holds', () => {
    const error = refusal(['onnx/decoder_model_merged.onnx', 'onnx/embed_tokens.onnx'], {}, 'smolvlm');
    expect(error.code).toBe('unsupported-model');
    expect(error.message).toContain('smolvlm');
    expect(error.message).toContain('embed_tokens');
  });

  it.each([
    [['model.safetensors', 'config.json'], '.safetensors'],
    [['onnx/unet.onnx'], '.onnx'],
    [[], 'no GGUF'],
  ])('refuses a repository of %j', (paths, said) => {
    expect(refusal(paths).message).toContain(said);
    expect(refusal(paths).code).toBe('unsupported-model');
  });
});
