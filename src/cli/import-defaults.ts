/** What a model's own configuration files say, where the user gave no flag. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** Configuration files are some kilobytes; the bound keeps a mistaken file from filling memory. */
const MAX_CONFIG_BYTES = 4 * 2 ** 20;

/** A tokenizer of a million entries has some 60 MB of JSON. */
const MAX_TOKENIZER_BYTES = 256 * 2 ** 20;

export interface ModelDefaults {
  /** Paths of files that were found. */
  readonly tokenizer?: string;
  readonly tokenizerConfig?: string;
  readonly bosToken?: number;
  readonly eosTokens?: readonly number[];
  readonly maxTokens?: number;
  /** Hz. */
  readonly sampleRate?: number;
  /** What was taken from where, and what could not be read. */
  readonly notes: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

/** Looks beside each model file, then one folder up: exports often keep graphs in `onnx/`. */
export async function findDefaults(modelFiles: readonly string[]): Promise<ModelDefaults> {
  const beside = [...new Set(modelFiles.map((file) => dirname(resolve(file))))];
  const folders = [...new Set([...beside, ...beside.map(dirname)])];
  const notes: string[] = [];
  const generation = await readFirst(folders, 'generation_config.json', notes);
  const config = await readFirst(folders, 'config.json', notes);
  const preprocessor = await readFirst(folders, 'preprocessor_config.json', notes);
  const take = <T>(
    what: string,
    keys: readonly string[],
    read: (value: unknown) => T | undefined,
  ): T | undefined => {
    for (const [file, json] of [
      ['generation_config.json', generation],
      ['config.json', config],
    ] as const) {
      for (const key of keys) {
        const value = json === undefined ? undefined : read(json[key]);
        if (value === undefined) continue;
        notes.push(`${what} ${String(value)} from ${file} (${key})`);
        return value;
      }
    }
    return undefined;
  };
  const bosToken = take('start token', ['decoder_start_token_id', 'bos_token_id'], count);
  const eosTokens = take('end token', ['eos_token_id'], counts);
  const maxTokens = take('token limit', ['max_length', 'max_new_tokens'], positive);
  const sampleRate = positive(preprocessor?.sampling_rate);
  if (sampleRate !== undefined) notes.push(`sample rate ${sampleRate} from preprocessor_config.json`);
  const tokenizer = await findFile(folders, 'tokenizer.json', MAX_TOKENIZER_BYTES);
  const tokenizerConfig = await findFile(folders, 'tokenizer_config.json', MAX_CONFIG_BYTES);
  return {
    notes,
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(tokenizerConfig === undefined ? {} : { tokenizerConfig }),
    ...(bosToken === undefined ? {} : { bosToken }),
    ...(eosTokens === undefined ? {} : { eosTokens }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(sampleRate === undefined ? {} : { sampleRate }),
  };
}

async function findFile(
  folders: readonly string[],
  name: string,
  maxBytes: number,
): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name);
    const info = await stat(path).catch(() => undefined);
    if (info?.isFile() === true && info.size <= maxBytes) return path;
  }
  return undefined;
}

async function readFirst(
  folders: readonly string[],
  name: string,
  notes: string[],
): Promise<Json | undefined> {
  const path = await findFile(folders, name, MAX_CONFIG_BYTES);
  if (path === undefined) return undefined;
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json;
    notes.push(`${path} is not a JSON object and was not used`);
  } catch (error) {
    notes.push(`${path} was not used: ${error instanceof Error ? error.message : String(error)}`);
  }
  return undefined;
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function positive(value: unknown): number | undefined {
  const found = count(value);
  return found === 0 ? undefined : found;
}

/** One id or a list of them. */
function counts(value: unknown): readonly number[] | undefined {
  const list = (Array.isArray(value) ? value : [value]).map(count);
  const known = list.flatMap((item) => item ?? []);
  return known.length > 0 && known.length === list.length ? known : undefined;
}
