/** Which files of a repository make up the model that was asked for. Pure. */
import { IsthmusError } from '../../../errors.ts';
import { chooseGguf, ggufList, ggufModels, whole } from './gguf-choice.ts';
import type { HubFile, HubListing } from './listing.ts';
import { chooseVariant, onnxVariants } from './onnx-layout.ts';

/** Small files beside the graphs that say how the model is used. */
export const CONFIG_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'preprocessor_config.json',
];

export type Choice =
  | { readonly kind: 'gguf'; readonly model: HubFile }
  | {
      readonly kind: 'onnx';
      readonly variant: string;
      readonly configs: readonly HubFile[];
      readonly graphs: readonly HubFile[];
      readonly data: readonly HubFile[];
    };

export interface Wish {
  readonly file?: string | undefined;
  /** Of ONNX exports: `fp32`, `fp16`, `q4`, ...; of GGUF files: `Q4_0`, ... */
  readonly variant?: string | undefined;
}

/**
 * @param modelType of `config.json`, named when its export is refused
 * @throws IsthmusError `bad-option` that lists what there is, `unsupported-model`
 */
export function chooseFiles(listing: HubListing, wish: Wish, modelType: string | undefined): Choice {
  const { files } = listing;
  const ggufs = ggufModels(files);
  if (wish.file !== undefined) return named(listing, wish.file);
  const hasOnnx = files.some(({ path }) => /\.onnx$/.test(path));
  const meansGguf = wish.variant !== undefined && /^(?:I?Q\d|TQ\d|BF16|F16|F32)/.test(wish.variant);
  if (ggufs.length > 0 && (!hasOnnx || meansGguf)) {
    return { kind: 'gguf', model: chooseGguf(ggufs, wish.variant) };
  }
  const variants = hasOnnx ? onnxVariants(files, modelType) : [];
  if (variants.length === 0) throw nothingHere(listing);
  if (ggufs.length > 0 && wish.variant === undefined) {
    throw new IsthmusError(
      'bad-option',
      `${listing.repo} has ONNX files and GGUF files; which? There is ONNX ${variants.map(({ name }) => name).join(', ')}, and\n${ggufList(ggufs)}`,
      { details: { hint: 'name an ONNX variant with --variant, or a file: hf:ORG/NAME/file.gguf' } },
    );
  }
  const chosen = chooseVariant(variants, wish.variant);
  const pick = (paths: readonly string[]): HubFile[] =>
    paths.flatMap((path) => files.find((file) => file.path === path) ?? []);
  return {
    kind: 'onnx',
    variant: chosen.name,
    configs: pick(CONFIG_FILES),
    graphs: pick(chosen.graphs),
    data: pick(chosen.data),
  };
}

function named({ repo, files }: HubListing, wanted: string): Choice {
  const model = files.find(({ path }) => path === wanted);
  if (model !== undefined && /\.gguf$/i.test(wanted)) return { kind: 'gguf', model: whole(model) };
  if (model !== undefined) {
    throw new IsthmusError('bad-option', `${wanted} is no GGUF file`, {
      details: { hint: 'give hf:ORG/NAME for ONNX files, and choose among them with --variant' },
    });
  }
  const ggufs = ggufModels(files);
  const there = ggufs.length === 0 ? 'It has no GGUF files.' : `There is\n${ggufList(ggufs)}`;
  throw new IsthmusError('bad-option', `${repo} has no file '${wanted}'. ${there}`, {
    details: { files: ggufs.map(({ path }) => path), hint: 'check the name' },
  });
}

function nothingHere({ repo, files }: HubListing): IsthmusError {
  const weights = files.filter(({ path }) => /\.(?:safetensors|bin|pt|pth|onnx|h5|msgpack)$/.test(path));
  const kinds = [...new Set(weights.map(({ path }) => path.slice(path.lastIndexOf('.'))))];
  return new IsthmusError(
    'unsupported-model',
    `${repo} has no GGUF file and no ONNX export for the web${kinds.length > 0 ? `, only ${kinds.join(', ')}` : ''}`,
    { details: { hint: 'look for a conversion of it: GGUF, or one by onnx-community' } },
  );
}
