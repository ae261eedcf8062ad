/** What the user's flags and the model's own files say together, for models that are no language models. */
import { readFile } from 'node:fs/promises';
import { IsthmusError } from '../errors.ts';
import type { ImportOnnxOptions } from '../node/import-onnx.ts';
import type { AudioInput, Generation } from '../package/manifest.ts';
import type { ModelDefaults } from './import-defaults.ts';

/** Stops an answer that never ends; models with longer contexts say so in their configuration. */
export const DEFAULT_MAX_TOKENS = 256;

/** Fast speech in the languages that tokenizers serve worst; most need half of it. */
export const DEFAULT_TOKENS_PER_SECOND = 13;

export interface Given {
  readonly bos: number | undefined;
  readonly eos: readonly number[] | undefined;
  readonly maxTokens: number | undefined;
  /** Positions. */
  readonly context: number | undefined;
  readonly sampleRate: number | undefined;
  readonly perSecond: number | undefined;
  readonly tokenizer: string | undefined;
  readonly tokenizerConfig: string | undefined;
  readonly variant: string | undefined;
}

export function generationOf(
  given: Given,
  defaults: ModelDefaults,
  assumed: string[],
): { generation?: Generation } {
  const bosToken = given.bos ?? defaults.bosToken;
  const eosTokens = given.eos ?? defaults.eosTokens;
  if (bosToken === undefined || eosTokens === undefined) return {};
  const maxTokens = given.maxTokens ?? defaults.maxTokens ?? DEFAULT_MAX_TOKENS;
  if (given.maxTokens === undefined && defaults.maxTokens === undefined) {
    assumed.push(`token limit ${maxTokens} assumed; --max-tokens sets it`);
  }
  return { generation: { bosToken, eosTokens, maxTokens } };
}

export function audioOf(given: Given, defaults: ModelDefaults, assumed: string[]): { audio?: AudioInput } {
  const sampleRate = given.sampleRate ?? defaults.sampleRate;
  if (sampleRate === undefined) {
    if (given.perSecond === undefined) return {};
    throw new IsthmusError('bad-option', '--max-tokens-per-second needs --sample-rate');
  }
  const maxTokensPerSecond = given.perSecond ?? DEFAULT_TOKENS_PER_SECOND;
  if (given.perSecond === undefined) {
    assumed.push(`${maxTokensPerSecond} tokens per second of audio assumed; --max-tokens-per-second sets it`);
  }
  return { audio: { sampleRate, maxTokensPerSecond } };
}

export async function tokenizerOf(
  given: Given,
  defaults: ModelDefaults,
): Promise<Pick<ImportOnnxOptions, 'tokenizer'>> {
  const path = given.tokenizer ?? defaults.tokenizer;
  if (path === undefined) return {};
  const config =
    given.tokenizerConfig ?? (given.tokenizer === undefined ? defaults.tokenizerConfig : undefined);
  const json = await readJsonFile('tokenizer', path);
  return {
    tokenizer:
      config === undefined ? { json } : { json, config: await readJsonFile('tokenizer-config', config) },
  };
}

async function readJsonFile(flag: string, path: string): Promise<Uint8Array> {
  try {
    const bytes = await readFile(path);
    JSON.parse(bytes.toString('utf8'));
    return bytes;
  } catch (cause) {
    throw new IsthmusError('bad-option', `--${flag}: '${path}' is not a readable JSON file`, { cause });
  }
}
