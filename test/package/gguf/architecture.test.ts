import { describe, expect, it } from 'vitest';
import { llamaConfig, readLlamaConfig } from '../../../src/package/gguf/architecture.ts';
import { bytesSource } from '../../../src/package/gguf/byte-source.ts';
import type { LlamaConfig } from '../../../src/package/gguf/llama-config.ts';
import { type GgufFile, readGgufHeader } from '../../../src/package/gguf/read-gguf.ts';
import { specialTokens } from '../../../src/package/gguf/special-tokens.ts';
import { type Entry, float32Bytes, ggufBytes, type TensorToWrite } from '../../fixtures/gguf-build.ts';
import { type LlamaFile, llamaFile, type Metadata } from '../../fixtures/gguf-llama.ts';

interface Changes {
  /** Entries by key: replaced, added, or taken out where undefined. */
  readonly set?: Readonly<Record<string, Entry | undefined>>;
  readonly add?: readonly TensorToWrite[];
  readonly drop?: string;
}

async function changed(file: LlamaFile, { set = {}, add = [], drop }: Changes): Promise<GgufFile> {
  const metadata: Metadata = [
    ...file.metadata.filter(([key]) => !Object.hasOwn(set, key)),
    ...Object.entries(set).flatMap(([key, entry]) => (entry ? [[key, entry] as const] : [])),
  ];
  const tensors = [...file.tensors.filter(({ name }) => name !== drop), ...add];
  return readGgufHeader(bytesSource(ggufBytes({ metadata, tensors })));
}

const zeros = (name: string, ...dims: number[]): TensorToWrite => {
  const elements = dims.reduce((product, dim) => product * dim, 1);
  return { name, dims, type: 0, bytes: float32Bytes(new Float32Array(elements)) };
};

describe('llamaConfig', async () => {
  const llama = await llamaFile('llama');
  const qwen2 = await llamaFile('qwen2');

  /** Epsilon and theta travel as float32. */
  const stored = (config: LlamaConfig): LlamaConfig => {
    return { ...config, rmsEpsilon: Math.fround(config.rmsEpsilon) };
  };

  it.each([
    ['llama', llama],
    ['qwen2', qwen2],
  ])('reads what a %s was written from', async (_, file) => {
    expect(llamaConfig(await changed(file, {}))).toEqual(stored(file.config));
    expect(await readLlamaConfig(await changed(file, {}))).toEqual(stored(file.config));
  });

  it('takes defaults for what may be left out', async () => {
    const file = await changed(llama, { set: { 'llama.rope.freq_base': undefined } });
    expect(llamaConfig(file)).toMatchObject({ ropeTheta: 10_000, ropeDim: 16, headDim: 16 });
  });

  it('reads a model whose heads are all of one kind', async () => {
    const { metadata, tensors } = await llamaFile('llama', { config: { kvHeads: 4 } });
    const bytes = ggufBytes({
      metadata: metadata.filter(([key]) => !key.endsWith('head_count_kv')),
      tensors,
    });
    expect(llamaConfig(await readGgufHeader(bytesSource(bytes)))).toMatchObject({ heads: 4, kvHeads: 4 });
  });

  it('reads heads whose width is not that of the stream by their number, turned in part', async () => {
    const file = await llamaFile('llama', {
      config: { headDim: 24, ropeDim: 8 },
      metadata: [
        ['llama.attention.key_length', ['u32', 24]],
        ['llama.attention.value_length', ['u32', 24]],
        ['llama.rope.dimension_count', ['u32', 8]],
      ],
    });
    expect(llamaConfig(await readGgufHeader(bytesSource(file.bytes)))).toEqual(stored(file.config));
  });

  it('reads linear scaling, and the factors of Llama 3 with or without it', async () => {
    const linear = {
      'llama.rope.scaling.type': ['string', 'linear'],
      'llama.rope.scaling.factor': ['f32', 4],
    } as const;
    expect(llamaConfig(await changed(llama, { set: linear })).ropeFactors).toEqual(new Array(8).fill(4));
    const older = await changed(llama, { set: { 'llama.rope.scale_linear': ['f32', 2] } });
    expect(llamaConfig(older).ropeFactors).toEqual(new Array(8).fill(2));
    const none = await changed(llama, { set: { ...linear, 'llama.rope.scaling.type': ['string', 'none'] } });
    expect(llamaConfig(none).ropeFactors).toBeUndefined();

    const factors = [1, 1, 1, 1, 2, 4, 8, 8];
    const add = [
      { name: 'rope_freqs.weight', dims: [8], type: 0, bytes: float32Bytes(Float32Array.from(factors)) },
    ];
    expect((await readLlamaConfig(await changed(llama, { add }))).ropeFactors).toEqual(factors);
    expect((await readLlamaConfig(await changed(llama, { add, set: linear }))).ropeFactors).toEqual(
      factors.map((factor) => factor * 4),
    );
    const zero = await changed(llama, { add: [zeros('rope_freqs.weight', 8)] });
    await expect(readLlamaConfig(zero)).rejects.toMatchObject({ code: 'bad-model' });
  });

  it.each<[string, Entry]>([
    ['general.architecture', ['string', 'gemma3']],
    ['llama.rope.scaling.type', ['string', 'yarn']],
    ['llama.rope.scaling.type', ['string', 'longrope']],
    ['llama.rope.scaling.attn_factor', ['f32', 1.2]],
    ['llama.rope.dimension_sections', ['array', [['u32', 4]]]],
    ['llama.expert_count', ['u32', 8]],
    ['llama.logit_scale', ['f32', 0.5]],
    ['llama.attention.causal', ['bool', false]],
    ['llama.attention.sliding_window', ['u32', 128]],
    ['llama.attention.value_length', ['u32', 8]],
  ])('names %s of %j as not supported', async (key, entry) => {
    const file = await changed(llama, { set: { [key]: entry } });
    expect(() => llamaConfig(file)).toThrow(expect.objectContaining({ code: 'unsupported-model' }));
    const named = key === 'general.architecture' ? { architecture: 'gemma3' } : { key };
    await expect(readLlamaConfig(file)).rejects.toMatchObject({ details: named });
  });

  it.each<[string, Entry]>([
    ['llama.expert_count', ['u32', 0]],
    ['llama.logit_scale', ['f32', 1]],
    ['llama.attention.sliding_window', ['u32', 256]],
    ['llama.attention.causal', ['bool', true]],
  ])('takes %s of %j, which changes nothing', async (key, entry) => {
    expect(llamaConfig(await changed(llama, { set: { [key]: entry } }))).toEqual(stored(llama.config));
  });

  it.each<[string, Entry | undefined]>([
    ['general.architecture', undefined],
    ['general.architecture', ['u32', 3]],
    ['llama.block_count', undefined],
    ['llama.block_count', ['u32', 0]],
    ['llama.block_count', ['string', '4']],
    ['llama.block_count', ['f32', 1.5]],
    ['llama.block_count', ['u32', 5]],
    ['llama.embedding_length', ['u32', 128]],
    ['llama.feed_forward_length', ['array', [['u32', 96]]]],
    ['llama.attention.head_count', ['u32', 5]],
    ['llama.attention.head_count_kv', ['u32', 3]],
    ['llama.attention.layer_norm_rms_epsilon', undefined],
    ['llama.attention.layer_norm_rms_epsilon', ['f32', Number.NaN]],
    ['llama.attention.layer_norm_rms_epsilon', ['f32', -1]],
    ['llama.context_length', undefined],
    ['llama.vocab_size', ['u32', 161]],
    ['llama.rope.freq_base', ['f32', 0]],
    ['llama.rope.dimension_count', ['u32', 7]],
    ['llama.rope.dimension_count', ['u32', 18]],
    ['llama.rope.scaling.factor', ['f32', -2]],
  ])('refuses %s of %j', async (key, entry) => {
    const file = await changed(llama, { set: { [key]: entry } });
    expect(() => llamaConfig(file)).toThrow(expect.objectContaining({ code: 'bad-model' }));
  });

  it('refuses layers without number', async () => {
    const file = await changed(llama, { set: { 'llama.block_count': ['u32', 2 ** 31] } });
    expect(() => llamaConfig(file)).toThrow(expect.objectContaining({ code: 'limit-exceeded' }));
  });

  it.each(['token_embd.weight', 'output_norm.weight', 'blk.3.ffn_down.weight', 'blk.0.attn_norm.weight'])(
    'refuses a file without %s',
    async (drop) => {
      const file = await changed(llama, { drop });
      expect(() => llamaConfig(file)).toThrow(expect.objectContaining({ code: 'bad-model' }));
    },
  );

  it('refuses a qwen2 that has biases on some layers only', async () => {
    const file = await changed(qwen2, { drop: 'blk.2.attn_k.bias' });
    expect(() => llamaConfig(file)).toThrow(expect.objectContaining({ code: 'bad-model' }));
  });

  it.each([
    zeros('blk.0.attn_q_norm.weight', 16),
    zeros('blk.0.attn_output.bias', 64),
    zeros('blk.4.attn_norm.weight', 64),
    zeros('rope_factors_long.weight', 8),
    zeros('constructor', 8),
  ])('names a tensor that it would have to leave out: $name', async (tensor) => {
    const file = await changed(llama, { add: [tensor] });
    expect(() => llamaConfig(file)).toThrow(
      expect.objectContaining({ code: 'unsupported-model', details: { tensor: tensor.name } }),
    );
  });
});

describe('specialTokens', () => {
  const tokens = (entries: Metadata) =>
    specialTokens(
      new Map(entries.map(([key, [, value]]) => [`tokenizer.ggml.${key}_token_id`, value as number])),
    );

  it('gives each end of an answer once, and leaves out what the file does not name', () => {
    expect(tokens([])).toEqual({ endTokens: [] });
    expect(
      tokens([
        ['bos', ['u32', 1]],
        ['eos', ['u32', 2]],
        ['eot', ['u32', 2]],
        ['eom', ['u32', 7]],
      ]),
    ).toEqual({
      bosToken: 1,
      eosToken: 2,
      endTokens: [2, 7],
    });
  });
});
