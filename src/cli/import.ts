/** `isthmus import`: ONNX files to a package. */
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { IsthmusError, isIsthmusError } from '../errors.ts';
import { type ImportOnnxOptions, importOnnx } from '../node/import-onnx.ts';
import type { AudioInput, Generation, Manifest } from '../package/manifest.ts';
import { openPackage } from '../package/node/open-package.ts';
import type { Command } from './command.ts';
import { numberList, optionalNumber, parseFlags, UsageError } from './flags.ts';
import { findDefaults, type ModelDefaults } from './import-defaults.ts';
import { bytesText } from './inspect-table.ts';

/** Stops an answer that never ends; models with longer contexts say so in their configuration. */
const DEFAULT_MAX_TOKENS = 256;

/** Fast speech in the languages that tokenizers serve worst; most need half of it. */
const DEFAULT_TOKENS_PER_SECOND = 13;

/** Token ids are int32 or int64 in every export. */
const TOKEN = { min: 0, max: 2 ** 31 - 1 };

/** Longest generation that any model in use is made for. */
const LENGTH = { min: 1, max: 2 ** 24 };
const RATE = { min: 1000, max: 768_000 };
const PER_SECOND = { min: 0.1, max: 1000, integer: false };

const HELP = `Makes a split package from ONNX files: an encoder, a decoder, or both. No Python, no GPU.

Usage: isthmus import FILE... --out PKG [OPTIONS]

  --out PKG                     folder to write; an older import of the same name is replaced
  --name N                      name that the endpoint serves it under (default: the folder's name)
  --tokenizer F                 tokenizer.json
  --tokenizer-config F          tokenizer_config.json
  --bos N                       token that a generation starts with
  --eos N[,N]                   tokens that end it
  --max-tokens N                hard stop for one request (default ${DEFAULT_MAX_TOKENS})
  --sample-rate HZ              of the audio that the model takes
  --max-tokens-per-second X     tokens per second of audio at most (default ${DEFAULT_TOKENS_PER_SECOND})
  --force                       replace a package of another name
  --json                        one JSON document: {"name", "out", "blocks", "cuts", "bytes", "notes"}
  --help                        show this

Defaults are taken from tokenizer.json, tokenizer_config.json, generation_config.json, config.json and
preprocessor_config.json beside the files or one folder up. External data is read from the folder
of its file.

Examples:
  isthmus import encoder_model.onnx decoder_model_merged.onnx --out ./package --bos 1 --eos 2
  isthmus import onnx/model.onnx --out ./embedder --tokenizer tokenizer.json
`;

export const importCommand: Command = {
  name: 'import',
  summary: 'make a split package from ONNX files',
  help: HELP,
  run: async (args, io) => {
    const { values, positionals } = parseFlags(args, {
      out: { type: 'string' },
      name: { type: 'string' },
      tokenizer: { type: 'string' },
      'tokenizer-config': { type: 'string' },
      bos: { type: 'string' },
      eos: { type: 'string', multiple: true },
      'max-tokens': { type: 'string' },
      'sample-rate': { type: 'string' },
      'max-tokens-per-second': { type: 'string' },
      force: { type: 'boolean' },
      json: { type: 'boolean' },
    });
    if (positionals.length === 0) throw new UsageError('which ONNX files? Name one or two');
    if (values.out === undefined) throw new UsageError('--out says where the package is written');
    const out = values.out;
    const name = values.name ?? basename(resolve(out));
    const given = {
      bos: optionalNumber('bos', values.bos, TOKEN),
      eos: numberList('eos', values.eos, TOKEN),
      maxTokens: optionalNumber('max-tokens', values['max-tokens'], LENGTH),
      sampleRate: optionalNumber('sample-rate', values['sample-rate'], RATE),
      perSecond: optionalNumber('max-tokens-per-second', values['max-tokens-per-second'], PER_SECOND),
      tokenizer: values.tokenizer,
      tokenizerConfig: values['tokenizer-config'],
    };
    if (values.force !== true) await refuseOtherName(out, name);
    const defaults = await findDefaults(positionals);
    const assumed: string[] = [];
    const options = {
      out,
      name,
      onProgress: (message: string) => io.stderr(`${message}\n`),
      ...generationOf(given, defaults, assumed),
      ...audioOf(given, defaults, assumed),
      ...(await tokenizerOf(given, defaults)),
    };
    const manifest = await importOnnx(positionals, options);
    const notes = [...defaults.notes, ...assumed, ...missing(manifest, options), ...manifest.notes];
    const summary = summarise(manifest, out, notes);
    io.stdout(values.json === true ? `${JSON.stringify(summary)}\n` : summaryText(summary));
    return 0;
  },
};

interface Given {
  readonly bos: number | undefined;
  readonly eos: readonly number[] | undefined;
  readonly maxTokens: number | undefined;
  readonly sampleRate: number | undefined;
  readonly perSecond: number | undefined;
  readonly tokenizer: string | undefined;
  readonly tokenizerConfig: string | undefined;
}

function generationOf(given: Given, defaults: ModelDefaults, assumed: string[]): { generation?: Generation } {
  const bosToken = given.bos ?? defaults.bosToken;
  const eosTokens = given.eos ?? defaults.eosTokens;
  if (bosToken === undefined || eosTokens === undefined) return {};
  const maxTokens = given.maxTokens ?? defaults.maxTokens ?? DEFAULT_MAX_TOKENS;
  if (given.maxTokens === undefined && defaults.maxTokens === undefined) {
    assumed.push(`token limit ${maxTokens} assumed; --max-tokens sets it`);
  }
  return { generation: { bosToken, eosTokens, maxTokens } };
}

function audioOf(given: Given, defaults: ModelDefaults, assumed: string[]): { audio?: AudioInput } {
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

async function tokenizerOf(
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

/** A slip of the finger should not replace another model's package. */
async function refuseOtherName(out: string, name: string): Promise<void> {
  let present: string;
  try {
    present = (await openPackage(out)).manifest.name;
  } catch (error) {
    // Nothing there, an older version or something else: the writer decides.
    if (isIsthmusError(error)) return;
    throw error;
  }
  if (present === name) return;
  throw new IsthmusError('bad-option', `${out} holds the package '${present}', not '${name}'`, {
    details: { hint: 'choose another folder, or replace it with --force' },
  });
}

function missing(manifest: Manifest, options: Pick<ImportOnnxOptions, 'tokenizer' | 'generation'>): string[] {
  const writesText = manifest.stages.some((stage) => stage.kind === 'loop');
  if (!writesText || options.tokenizer !== undefined) return [];
  return ['no tokenizer: tokens cannot be shown as text; --tokenizer adds one'];
}

interface Summary {
  readonly name: string;
  readonly out: string;
  readonly blocks: number;
  readonly cuts: number;
  readonly bytes: number;
  readonly notes: readonly string[];
}

function summarise(manifest: Manifest, out: string, notes: readonly string[]): Summary {
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  return {
    name: manifest.name,
    out,
    blocks: manifest.blocks.length,
    cuts: manifest.cuts.length,
    bytes,
    notes,
  };
}

function summaryText({ name, out, blocks, cuts, bytes, notes }: Summary): string {
  const lines = notes.map((note) => `  note: ${note}\n`).join('');
  const blockWord = blocks === 1 ? 'block' : 'blocks';
  return `${name}: ${blocks} ${blockWord}, ${cuts} cuts, ${bytesText(bytes)} in ${out}\n${lines}`;
}
