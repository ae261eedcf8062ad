/** Language models to package folders: a GGUF, or a folder in the layout of onnx-community. */
import { basename, extname } from 'node:path';
import { IsthmusError, throwIfAborted } from '../errors.ts';
import { llamaConfig, readLlamaConfig } from '../package/gguf/architecture.ts';
import { buildLlama } from '../package/gguf/build-llama.ts';
import type { ByteSource } from '../package/gguf/byte-source.ts';
import { openFileSource } from '../package/gguf/node/file-source.ts';
import { type GgufHeader, readGgufHeader } from '../package/gguf/read-gguf.ts';
import { tokenizerFromGguf } from '../package/gguf/tokenizer.ts';
import { classify } from '../package/import/classify.ts';
import type { ImportSource } from '../package/import/import-model.ts';
import type { AudioInput, Generation, Manifest } from '../package/manifest.ts';
import { readOnnxFile } from '../package/node/read-onnx.ts';
import { checkTarget } from '../package/node/write-package.ts';
import { type ImportOnnxOptions, packSources } from './import-onnx.ts';
import { type TextWishes, textSettings } from './import-text-config.ts';
import { readOnnxFolder } from './import-text-folder.ts';
import { ggufSettings } from './import-text-gguf.ts';

export interface ImportTextOptions extends TextWishes {
  /** Folder to write; an older package there is replaced, anything else is refused. */
  readonly out: string;
  /** Name under which an endpoint serves it. */
  readonly name: string;
  /** In place of the model's own: contents of `tokenizer.json` and `tokenizer_config.json`. */
  readonly tokenizer?: ImportOnnxOptions['tokenizer'];
  /** `reading ...`, `building: layer 3 of 30`, ...: a phase, and after a colon how far it is. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface ImportFolderOptions extends ImportTextOptions {
  /** `fp32`, `fp16`, `q4`, ...; needed where there are several and none in full precision. */
  readonly variant?: string;
  /** In place of those that the layout names: the folder then only says how they are used. */
  readonly graphs?: readonly string[];
  /** Asked when the folder's model is no language model: an encoder with a decoder, say. */
  readonly other?: (graphs: readonly string[]) => Promise<OtherSettings>;
}

export interface OtherSettings {
  readonly generation?: Generation;
  readonly audio?: AudioInput;
}

export interface ImportedText {
  readonly manifest: Manifest;
  /** What was assumed or left out, besides `manifest.notes`. */
  readonly notes: readonly string[];
}

/**
 * @throws IsthmusError `bad-model` (broken), `unsupported-model` (architecture, tensor type or tokenizer, named),
 *   `bad-option`, `limit-exceeded`, `storage-failed`, `aborted`
 */
export async function importGguf(path: string, options: ImportTextOptions): Promise<ImportedText> {
  // Before the work, not after it.
  await checkTarget(options.out);
  const say = options.onProgress ?? (() => undefined);
  say(`reading ${path}`);
  const source = await openFileSource(path);
  try {
    const file = await readGgufHeader(source);
    const tokens = tokenizerFromGguf(file.metadata);
    const own = await readLlamaConfig(file);
    const settings = ggufSettings(file.metadata, tokens, own.contextLength, options);
    const config = { ...own, contextLength: settings.text.contextLength };
    const { model, feeds, growth } = await buildLlama(config, (name) => file.readTensor(name), {
      onProgress: (message) => say(`building: ${message}`),
      ...(options.signal !== undefined && { signal: options.signal }),
    });
    const name = basename(path, extname(path));
    const manifest = await packSources([{ name, model, hints: { feeds, growth } }], {
      ...plain(options),
      tokenizer: options.tokenizer ?? { json: jsonBytes(tokens.tokenizer), config: jsonBytes(tokens.config) },
      text: settings.text,
      generation: settings.generation,
    });
    return { manifest, notes: [...settings.notes, weightsNote(file)] };
  } finally {
    await source.close();
  }
}

/**
 * Refuses by the header alone what `importGguf` would refuse, so that nothing else need be downloaded.
 * @throws IsthmusError `bad-model`, `unsupported-model`, `limit-exceeded`
 */
export async function checkGguf(source: ByteSource): Promise<void> {
  const file = await readGgufHeader(source);
  // Not `readLlamaConfig`: its factors are a tensor, which may lie anywhere in the file.
  llamaConfig(file);
  tokenizerFromGguf(file.metadata);
}

/** @throws IsthmusError as `importGguf` */
export async function importOnnxFolder(dir: string, options: ImportFolderOptions): Promise<ImportedText> {
  await checkTarget(options.out);
  const say = options.onProgress ?? (() => undefined);
  const folder = await readOnnxFolder(dir, options.variant, options.graphs);
  const sources: ImportSource[] = [];
  for (const path of folder.graphs) {
    throwIfAborted(options.signal);
    say(`reading ${path}`);
    sources.push({ name: basename(path, extname(path)), model: await readOnnxFile(path) });
  }
  const tokenizer = options.tokenizer ?? folder.tokenizer;
  const common = { ...plain(options), ...(tokenizer !== undefined && { tokenizer }) };
  const [only] = sources;
  const writesText = only !== undefined && sources.length === 1 && classify(only.model).kind === 'loop';
  if (writesText) {
    const settings = textSettings(folder.files, options);
    const { text, generation } = settings;
    return { manifest: await packSources(sources, { ...common, text, generation }), notes: settings.notes };
  }
  const decodes = sources.length > 1;
  const { generation, audio } = (await options.other?.(folder.graphs)) ?? {};
  if (decodes && generation === undefined) {
    throw new IsthmusError(
      'bad-option',
      `the decoder in ${dir} writes tokens, but not known is which begin and end`,
      {
        details: { hint: 'give --bos N and --eos N, or put generation_config.json beside the model' },
      },
    );
  }
  const manifest = await packSources(sources, {
    ...common,
    ...(generation !== undefined && { generation }),
    ...(audio !== undefined && { audio }),
  });
  return { manifest, notes: [] };
}

/** Another form of the numbers is another model, if only a little: it is said. */
function weightsNote({ tensors }: GgufHeader): string {
  const types = new Set([...tensors.values()].filter(({ dims }) => dims.length > 1).map(({ type }) => type));
  return `matrices of type ${[...types].sort().join(', ')} are kept as int8 with a scale for each column`;
}

function plain({ out, name, onProgress }: ImportTextOptions): ImportOnnxOptions {
  return { out, name, ...(onProgress !== undefined && { onProgress }) };
}

function jsonBytes(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
