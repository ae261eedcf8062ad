/**
 * What a GGUF says of a model of the llama or qwen2 family, held against the shapes of its tensors. Keys are
 * those of llama.cpp's `gguf-py/gguf/constants.py`, with the architecture's name before them.
 *
 * Order of rows: llama.cpp's converter reorders the rows of queries and keys (weights and biases) of
 * architecture `llama` so that axes which turn together are neighbours: row `2j + p` of a head is row
 * `j + p * ropeDim / 2` of the original, `p` 0 or 1 (`LlamaModel.permute`; ggml calls such a
 * rotation NORM). It is told by `ropeInterleaved`. Those of `qwen2` are as in the original, axis `j` turns
 * with `j + ropeDim / 2` (NEOX). Values and outputs are never reordered.
 */
import { IsthmusError } from '../../errors.ts';
import { checkTensors } from './expected-tensors.ts';
import type { LlamaConfig } from './llama-config.ts';
import { countOf, type Metadata, numberOf, required, stringOf } from './metadata.ts';
import type { GgufFile, GgufHeader } from './read-gguf.ts';
import { refuseForeignRope, ropeScale } from './rope-scaling.ts';

/** GGUF's names of what can be built. */
export const ARCHITECTURES = ['llama', 'qwen2'] as const;

export type GgufArchitecture = (typeof ARCHITECTURES)[number];

/** A tensor of factors by which frequencies are divided (Llama 3.1 and later). */
const ROPE_FACTORS = 'rope_freqs.weight';

/** Where the key is absent; llama.cpp's defaults. */
const DEFAULT_ROPE_THETA = 10_000;

/** More layers than any model has; the tensors of each are looked for. */
const MAX_LAYERS = 1024;

/** Throws `unsupported-model` and names it, `bad-model` when there is none. */
export function architectureOf(metadata: Metadata): GgufArchitecture {
  const name = required(stringOf(metadata, 'general.architecture'), 'general.architecture');
  const known = ARCHITECTURES.find((architecture) => architecture === name);
  if (known) return known;
  throw new IsthmusError(
    'unsupported-model',
    `the GGUF's architecture is ${name}; what can be imported is ${ARCHITECTURES.join(' and ')}`,
    { details: { architecture: name } },
  );
}

/**
 * Everything but the frequency factors of Llama 3, which are a tensor: see `readLlamaConfig`. Needs the
 * header alone, so that what cannot be built is known before weights are fetched.
 *
 * Throws `unsupported-model` (another architecture, mixtures of experts, foreign rotary scaling, tensors
 * that no llama has), `bad-model` (keys or tensors missing, shapes that do not fit together).
 */
export function llamaConfig({ metadata, tensors }: GgufHeader): LlamaConfig {
  const architecture = architectureOf(metadata);
  const key = (name: string): string => `${architecture}.${name}`;
  const positive = (name: string, otherwise?: number): number => {
    const value = required(countOf(metadata, key(name)) ?? otherwise, key(name));
    if (value > 0) return value;
    throw broken(key(name), `${value}`);
  };
  refuseVariants(metadata, key);
  const heads = positive('attention.head_count');
  const hidden = positive('embedding_length');
  const kvHeads = positive('attention.head_count_kv', heads);
  const headDim = positive('attention.key_length', hidden / heads);
  if (!Number.isInteger(headDim)) throw broken(key('attention.head_count'), `${heads}, of ${hidden} axes`);
  if (heads % kvHeads !== 0) throw broken(key('attention.head_count_kv'), `${kvHeads}, of ${heads} heads`);
  const valueDim = positive('attention.value_length', headDim);
  if (valueDim !== headDim) throw unsupported(key('attention.value_length'), `${valueDim}, not ${headDim}`);
  const layers = positive('block_count');
  if (layers > MAX_LAYERS) {
    throw new IsthmusError('limit-exceeded', `${layers} layers exceed the bound of ${MAX_LAYERS}`);
  }
  const ropeDim = positive('rope.dimension_count', headDim);
  if (ropeDim % 2 !== 0 || ropeDim > headDim) throw broken(key('rope.dimension_count'), `${ropeDim}`);
  const rmsKey = key('attention.layer_norm_rms_epsilon');
  const rmsEpsilon = required(numberOf(metadata, rmsKey), rmsKey);
  const ropeTheta = numberOf(metadata, key('rope.freq_base')) ?? DEFAULT_ROPE_THETA;
  if (!(rmsEpsilon > 0 && rmsEpsilon < 1)) throw broken(rmsKey, `${rmsEpsilon}`);
  if (!(ropeTheta >= 1)) throw broken(key('rope.freq_base'), `${ropeTheta}`);
  const scale = ropeScale(metadata, key);
  const config = {
    layers,
    heads,
    kvHeads,
    headDim,
    hidden,
    ffn: positive('feed_forward_length'),
    vocabulary: vocabularyOf({ metadata, tensors }, key('vocab_size')),
    rmsEpsilon,
    ropeTheta,
    ropeDim,
    contextLength: positive('context_length'),
    tiedHead: !tensors.has('output.weight'),
    qkvBias: tensors.has('blk.0.attn_q.bias'),
    ropeInterleaved: architecture === 'llama',
    ...(scale === 1 ? {} : { ropeFactors: new Array<number>(ropeDim / 2).fill(scale) }),
  };
  checkTensors(config, tensors, { [ROPE_FACTORS]: [ropeDim / 2] });
  return config;
}

/** As `llamaConfig`, with the factors of `rope_freqs.weight` where the file has them. */
export async function readLlamaConfig(file: GgufFile): Promise<LlamaConfig> {
  const config = llamaConfig(file);
  if (!file.tensors.has(ROPE_FACTORS)) return config;
  const factors = await file.readTensor(ROPE_FACTORS);
  if (!factors.every((factor) => factor > 0 && Number.isFinite(factor))) {
    throw new IsthmusError('bad-model', `the GGUF's ${ROPE_FACTORS} has factors that are not above zero`);
  }
  const scale = config.ropeFactors?.[0] ?? 1;
  return { ...config, ropeFactors: Array.from(factors, (factor) => factor * scale) };
}

function vocabularyOf({ metadata, tensors }: GgufHeader, sizeKey: string): number {
  const rows = required(tensors.get('token_embd.weight')?.dims[0], 'token_embd.weight');
  const said = countOf(metadata, sizeKey);
  if (said !== undefined && said !== rows) throw broken(sizeKey, `${said}; the embedding has ${rows} rows`);
  return rows;
}

/** What changes the arithmetic and is not built. The neutral values are what some converters write. */
function refuseVariants(metadata: Metadata, key: (name: string) => string): void {
  refuseForeignRope(metadata, key);
  const experts = countOf(metadata, key('expert_count')) ?? 0;
  if (experts > 0) throw unsupported(key('expert_count'), `${experts}: a mixture of experts`);
  for (const name of ['logit_scale', 'residual_scale', 'embedding_scale', 'attention.scale']) {
    const scale = numberOf(metadata, key(name)) ?? 0;
    if (scale !== 0 && scale !== 1) throw unsupported(key(name), `${scale}`);
  }
  if (metadata.get(key('attention.causal')) === false) {
    throw unsupported(key('attention.causal'), 'false: the model does not generate text');
  }
  const parallel = metadata.get(key('use_parallel_residual'));
  if (parallel === true) throw unsupported(key('use_parallel_residual'), 'true');
  const window = countOf(metadata, key('attention.sliding_window')) ?? 0;
  const context = countOf(metadata, key('context_length')) ?? 0;
  if (window > 0 && window < context) throw unsupported(key('attention.sliding_window'), `${window}`);
}

function broken(key: string, value: string): IsthmusError {
  return new IsthmusError('bad-model', `the GGUF's ${key} is ${value}: that cannot be`, { details: { key } });
}

function unsupported(key: string, value: string): IsthmusError {
  return new IsthmusError('unsupported-model', `the GGUF's ${key} is ${value}; that is not supported`, {
    details: { key },
  });
}
