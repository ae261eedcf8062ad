/** Which GGUF of a repository is meant, read from the names that quantisers give them. Pure. */
import { IsthmusError } from '../../../errors.ts';
import { type FileEntry, megabytes } from './onnx-layout.ts';

/** Taken without a wish when all files are one model: good at its size, then fast, then near lossless. */
const PREFERRED = ['Q4_K_M', 'Q4_0', 'Q8_0'];

const QUANTISATION = /[-._]((?:I?Q\d+|TQ\d+)(?:_[A-Z0-9]+)*|BF16|F16|F32|FP16|FP32|MXFP4)$/i;

/** Enough to choose from; some repositories have a hundred. */
const MAX_LISTED = 24;

/** Files that can be a model: no projectors, importance matrices or drafts of them. */
export function ggufModels<T extends FileEntry>(files: readonly T[]): T[] {
  return files.filter(
    ({ path }) => /\.gguf$/i.test(path) && !/(?:^|\/)(?:mmproj|imatrix)|imatrix\.gguf$/i.test(path),
  );
}

/**
 * `wanted` is a quantisation such as `Q4_0`. Without it: the only file; else, when the names differ in
 * their quantisation alone, the first of Q4_K_M, Q4_0 and Q8_0 that there is.
 * @throws IsthmusError `bad-option` that lists what there is, `unsupported-model` for a file in pieces
 */
export function chooseGguf<T extends FileEntry>(models: readonly T[], wanted: string | undefined): T {
  const named = models.map((file) => ({ file, ...nameOf(file.path) }));
  const matching = wanted === undefined ? named : named.filter(({ type }) => type === wanted.toUpperCase());
  const [only] = matching;
  if (only !== undefined && matching.length === 1) return whole(only.file);
  const oneModel = new Set(matching.map(({ stem }) => stem)).size === 1;
  if (wanted === undefined && oneModel) {
    for (const preferred of PREFERRED) {
      const [match, ...others] = matching.filter(({ type }) => type === preferred);
      if (match !== undefined && others.length === 0) return whole(match.file);
    }
  }
  const question =
    wanted !== undefined && matching.length === 0 ? `there is no GGUF of type '${wanted}'` : 'which GGUF?';
  throw new IsthmusError('bad-option', `${question} There is\n${ggufList(models)}`, {
    details: {
      files: models.map(({ path }) => path),
      hint: 'name one at the end of the address, hf:ORG/NAME/file.gguf',
    },
  });
}

/** One line for each file, smallest first. */
export function ggufList(models: readonly FileEntry[]): string {
  const sorted = [...models].sort((a, b) => a.bytes - b.bytes);
  const lines = sorted.slice(0, MAX_LISTED).map(({ path, bytes }) => `  ${path} (${megabytes(bytes)})`);
  const more = sorted.length - lines.length;
  return [...lines, ...(more > 0 ? [`  and ${more} more`] : [])].join('\n');
}

/** @throws IsthmusError `unsupported-model` */
export function whole<T extends FileEntry>(file: T): T {
  if (!/-\d{5}-of-\d{5}\.gguf$/i.test(file.path)) return file;
  throw new IsthmusError('unsupported-model', `${file.path} is one piece of a GGUF that was split`, {
    details: { hint: 'join the pieces with llama-gguf-split --merge, or choose a file that is whole' },
  });
}

function nameOf(path: string): { readonly stem: string; readonly type: string | undefined } {
  const name = path.replace(/\.gguf$/i, '').replace(/^.*\//, '');
  const type = QUANTISATION.exec(name);
  return {
    stem: (type === null ? name : name.slice(0, type.index)).toLowerCase(),
    type: type?.[1]?.toUpperCase(),
  };
}
