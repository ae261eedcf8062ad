/**
 * Which graphs an ONNX export offers, read from the names that exporters for the web give them:
 * `onnx/model_q4.onnx` beside `onnx/model_q4.onnx_data`, `..._data_1`. Pure.
 */
import { IsthmusError } from '../../../errors.ts';

export interface FileEntry {
  readonly path: string;
  readonly bytes: number;
}

export interface OnnxVariant {
  /** `fp32` for graphs without a suffix, else the suffix: `fp16`, `q4`, `q4f16`, `quantized`, ... */
  readonly name: string;
  /** Paths of graphs, an encoder first. */
  readonly graphs: readonly string[];
  /** Paths of their external data. */
  readonly data: readonly string[];
  readonly bytes: number;
}

/** Parts that exports are made of; longer names first, because a suffix follows them. */
const PARTS = [
  'decoder_with_past_model',
  'decoder_model_merged',
  'decoder_model',
  'encoder_model',
  'embed_tokens',
  'vision_encoder',
  'audio_encoder',
  'model',
];

/** Models that a package can hold; the first one whose parts are all there is meant. */
const SHAPES: readonly (readonly string[])[] = [
  ['encoder_model', 'decoder_model_merged'],
  ['model'],
  ['decoder_model_merged'],
];

/** With these a decoder takes embeddings made elsewhere, from text and pictures or sound. */
const FOREIGN_PARTS = ['embed_tokens', 'vision_encoder', 'audio_encoder'];

/** What transformers.js calls it, where that is not the file's suffix. */
const ALIASES: Readonly<Record<string, string>> = { q8: 'quantized', '': 'fp32' };

/** Empty when no graph has a name that exporters give; `modelType` is named in a refusal. */
export function onnxVariants(files: readonly FileEntry[], modelType: string | undefined): OnnxVariant[] {
  const folder = files.some(({ path }) => /^onnx\/[^/]+\.onnx$/.test(path)) ? 'onnx/' : '';
  const found = new Map<string, Map<string, string>>();
  for (const { path } of files) {
    if (!path.startsWith(folder) || path.slice(folder.length).includes('/')) continue;
    const stem = /^(.*)\.onnx$/.exec(path.slice(folder.length))?.[1];
    const part = PARTS.find((name) => stem === name || stem?.startsWith(`${name}_`) === true);
    if (stem === undefined || part === undefined) continue;
    const suffix = stem.slice(part.length + 1);
    const variant = suffix === '' ? 'fp32' : suffix;
    found.set(variant, (found.get(variant) ?? new Map<string, string>()).set(part, path));
  }
  const parts = new Set([...found.values()].flatMap((graphs) => [...graphs.keys()]));
  const foreign = FOREIGN_PARTS.filter((part) => parts.has(part));
  if (foreign.length > 0) {
    throw new IsthmusError(
      'unsupported-model',
      `${modelType ?? 'this model'} is exported in parts that a package cannot hold yet: ${foreign.join(', ')}`,
      { details: { hint: 'a package takes an encoder and a decoder, or one decoder that takes token ids' } },
    );
  }
  const shape = SHAPES.find((names) => names.every((name) => parts.has(name)));
  if (shape === undefined) return [];
  return [...found].flatMap(([name, graphs]) => {
    const paths = shape.flatMap((part) => graphs.get(part) ?? []);
    if (paths.length < shape.length) return [];
    const data = files.filter(({ path }) => paths.some((graph) => isDataOf(path, graph)));
    const bytes = [...files.filter(({ path }) => paths.includes(path)), ...data].reduce(
      (sum, file) => sum + file.bytes,
      0,
    );
    return [{ name, graphs: paths, data: data.map(({ path }) => path), bytes }];
  });
}

/** `model.onnx_data`, `model.onnx_data_3`, `model.onnx.data`. */
function isDataOf(path: string, graph: string): boolean {
  return path.startsWith(graph) && /^[._]data(?:_\d+)?$/.test(path.slice(graph.length));
}

/**
 * The one that is wanted; without a wish the only one, or full precision, which loses nothing.
 * @throws IsthmusError `bad-option` that lists what there is
 */
export function chooseVariant(variants: readonly OnnxVariant[], wanted: string | undefined): OnnxVariant {
  const [only] = variants;
  const list = variants.map(({ name, bytes }) => `${name} (${megabytes(bytes)})`).join(', ');
  if (wanted !== undefined) {
    const name = ALIASES[wanted] ?? wanted;
    const match = variants.find((variant) => variant.name === name);
    if (match !== undefined) return match;
    throw new IsthmusError('bad-option', `there is no variant '${wanted}'; there is ${list}`, {
      details: { variants: variants.map((variant) => variant.name), hint: 'name one of them with --variant' },
    });
  }
  const chosen = variants.length === 1 ? only : variants.find(({ name }) => name === 'fp32');
  if (chosen !== undefined) return chosen;
  throw new IsthmusError('bad-option', `which variant? There is ${list}`, {
    details: { variants: variants.map((variant) => variant.name), hint: 'name one of them with --variant' },
  });
}

export function megabytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
