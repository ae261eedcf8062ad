/** ONNX files to a package folder. */
import { createHash } from 'node:crypto';
import { basename, extname } from 'node:path';
import { IsthmusError } from '../errors.ts';
import { classify } from '../package/import/classify.ts';
import { type ImportSource, importModel } from '../package/import/import-model.ts';
import type { AudioInput, Generation, Manifest, TextModel } from '../package/manifest.ts';
import { readOnnxFile } from '../package/node/read-onnx.ts';
import { checkTarget, writePackage } from '../package/node/write-package.ts';
import { nodeProber } from '../runtime/node/ort-node.ts';

export interface ImportOnnxOptions {
  /** Folder to write; an older package there is replaced, anything else is refused. */
  readonly out: string;
  /** Name under which an endpoint serves it. */
  readonly name: string;
  /** Needed when one of the files is a decoder. */
  readonly generation?: Generation;
  readonly audio?: AudioInput;
  /** Of language models. */
  readonly text?: TextModel;
  /** Contents of `tokenizer.json` and `tokenizer_config.json`. */
  readonly tokenizer?: { readonly json: Uint8Array; readonly config?: Uint8Array };
  readonly onProgress?: (message: string) => void;
}

/**
 * At most one file that runs once per request (an encoder) and at most one decoder, in any order.
 * @returns the manifest that was written
 * @throws IsthmusError `bad-model`, `unsupported-model`, `bad-option`, `storage-failed`
 */
export async function importOnnx(files: readonly string[], options: ImportOnnxOptions): Promise<Manifest> {
  // Before the work, not after it.
  await checkTarget(options.out);
  const sources: ImportSource[] = [];
  for (const file of files) {
    options.onProgress?.(`reading ${file}`);
    sources.push({ name: basename(file, extname(file)), model: await readOnnxFile(file) });
  }
  checkGeneration(sources, options.generation);
  return packSources(sources, options);
}

/** Graphs that are in memory to a package folder; see `importOnnx`. */
export async function packSources(
  sources: readonly ImportSource[],
  options: ImportOnnxOptions,
): Promise<Manifest> {
  const { tokenizer } = options;
  const { manifest, files: contents } = await importModel(
    sources,
    {
      name: options.name,
      ...(options.generation === undefined ? {} : { generation: options.generation }),
      ...(options.audio === undefined ? {} : { audio: options.audio }),
      ...(options.text === undefined ? {} : { text: options.text }),
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      ...(tokenizer === undefined ? {} : tokenizerFiles(tokenizer)),
    },
    {
      probe: nodeProber,
      hash: async (bytes) => createHash('sha256').update(bytes).digest('hex'),
    },
  );
  options.onProgress?.(`writing ${options.out}`);
  await writePackage(options.out, manifest, contents);
  return manifest;
}

function tokenizerFiles({ json, config }: NonNullable<ImportOnnxOptions['tokenizer']>) {
  const name = 'tokenizer.json';
  const configName = 'tokenizer_config.json';
  return {
    files: { [name]: json, ...(config === undefined ? {} : { [configName]: config }) },
    tokenizer: { tokenizer: name, ...(config === undefined ? {} : { config: configName }) },
  };
}

function checkGeneration(sources: readonly ImportSource[], generation: Generation | undefined): void {
  if (generation !== undefined) return;
  for (const { name, model } of sources) {
    if (classify(model).kind !== 'loop') continue;
    throw new IsthmusError(
      'bad-option',
      `${name} writes tokens, but its start and end tokens are not known`,
      {
        details: { hint: 'give --bos N and --eos N, or put generation_config.json beside the model' },
      },
    );
  }
}
