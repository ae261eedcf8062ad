/** What a folder in the layout of onnx-community holds: graphs of one variant, and configuration files. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../errors.ts';
import { chooseVariant, type FileEntry, onnxVariants } from '../package/node/hub/onnx-layout.ts';
import type { TextFiles } from './import-text-config.ts';
import { field, text } from './import-text-json.ts';

/** Configuration files are some kilobytes; the bound keeps a mistaken file from filling memory. */
const MAX_CONFIG_BYTES = 4 * 2 ** 20;

/** A tokenizer of a million entries has some 60 MB of JSON. */
const MAX_TOKENIZER_BYTES = 256 * 2 ** 20;

export interface OnnxFolder {
  /** Paths, an encoder first. */
  readonly graphs: readonly string[];
  readonly files: TextFiles;
  /** As they are, for the package. */
  readonly tokenizer?: { readonly json: Uint8Array; readonly config?: Uint8Array };
}

/** @throws IsthmusError `bad-model` (nothing there, or no JSON), `bad-option` (which variant?), `unsupported-model` */
export async function readOnnxFolder(
  dir: string,
  variant?: string,
  graphs?: readonly string[],
): Promise<OnnxFolder> {
  const config = await readJson(dir, 'config.json');
  const chosen = graphs ?? (await layoutGraphs(dir, variant, text(field(config.json, 'model_type'))));
  const generation = await readJson(dir, 'generation_config.json');
  const tokenizer = await readJson(dir, 'tokenizer.json', MAX_TOKENIZER_BYTES);
  const tokenizerConfig = await readJson(dir, 'tokenizer_config.json');
  const special = await readJson(dir, 'special_tokens_map.json');
  const templateJson = await readJson(dir, 'chat_template.json');
  const template = await readWhole(dir, 'chat_template.jinja', MAX_CONFIG_BYTES);
  return {
    graphs: chosen,
    files: {
      config: config.json,
      generationConfig: generation.json,
      tokenizer: tokenizer.json,
      tokenizerConfig: tokenizerConfig.json,
      specialTokensMap: special.json,
      templateJson: templateJson.json,
      ...(template !== undefined && { template: new TextDecoder().decode(template) }),
    },
    ...(tokenizer.bytes !== undefined && {
      tokenizer: {
        json: tokenizer.bytes,
        ...(tokenizerConfig.bytes !== undefined && { config: tokenizerConfig.bytes }),
      },
    }),
  };
}

async function layoutGraphs(
  dir: string,
  variant: string | undefined,
  modelType: string | undefined,
): Promise<string[]> {
  const variants = onnxVariants(await graphFiles(dir), modelType);
  if (variants.length > 0) return chooseVariant(variants, variant).graphs.map((path) => join(dir, path));
  throw new IsthmusError('bad-model', `${dir} holds no model in a layout that is known`, {
    details: {
      hint: 'expected onnx/model.onnx, or onnx/encoder_model.onnx with onnx/decoder_model_merged.onnx; or name the files',
    },
  });
}

async function graphFiles(dir: string): Promise<FileEntry[]> {
  const found: FileEntry[] = [];
  for (const folder of ['', 'onnx']) {
    for (const name of await readdir(join(dir, folder)).catch(() => [])) {
      if (!name.includes('.onnx')) continue;
      const info = await stat(join(dir, folder, name)).catch(() => undefined);
      if (info?.isFile() === true)
        found.push({ path: folder === '' ? name : `${folder}/${name}`, bytes: info.size });
    }
  }
  return found;
}

async function readJson(
  dir: string,
  name: string,
  bound = MAX_CONFIG_BYTES,
): Promise<{ readonly json?: unknown; readonly bytes?: Uint8Array }> {
  const bytes = await readWhole(dir, name, bound);
  if (bytes === undefined) return {};
  try {
    return { bytes, json: JSON.parse(new TextDecoder().decode(bytes)) as unknown };
  } catch (cause) {
    throw new IsthmusError('bad-model', `${join(dir, name)} is not JSON`, { cause });
  }
}

/** `undefined` where there is no such file. */
async function readWhole(dir: string, name: string, bound: number): Promise<Uint8Array | undefined> {
  const path = join(dir, name);
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile() !== true) return undefined;
  if (info.size > bound) {
    throw new IsthmusError('limit-exceeded', `${path} has ${info.size} bytes; the bound is ${bound}`, {
      details: { bytes: info.size, bound },
    });
  }
  return new Uint8Array(await readFile(path));
}
