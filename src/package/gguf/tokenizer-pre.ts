/**
 * How each family of byte-level tokenizers cuts a text before it merges bytes. A GGUF names the family only
 * (`tokenizer.ggml.pre`); normaliser and pre-tokenizers are those of the families' published `tokenizer.json`
 * files, and the names those of llama.cpp.
 */
import { IsthmusError } from '../../errors.ts';

/** Parts of a `tokenizer.json` in the format of Hugging Face's tokenizers. */
export interface PreTokenization {
  readonly normalizer: object | null;
  readonly preTokenizer: object;
  /** A word that is a token as a whole is not merged from its bytes. */
  readonly ignoreMerges: boolean;
  /** Where the file does not say whether a text begins with its BOS token. */
  readonly addBos: boolean;
}

/** GPT-2's own expression, built into the byte-level pre-tokenizer. */
const BYTE_LEVEL_WORDS = byteLevel(true);
const BYTE_LEVEL = byteLevel(false);

/** Contractions with every letter in either case: `(?i:...)` is not to be had in all engines. */
const CONTRACTIONS = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";

/** That of cl100k, which Llama 3 and Qwen 2 took over with other lengths of numbers. */
function wordsWithNumbers(numbers: string): object {
  return split(
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*` +
      '|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  );
}

function byteLevel(useRegex: boolean): object {
  return { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: useRegex };
}

function split(expression: string): object {
  return { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false };
}

function sequence(...pretokenizers: readonly object[]): object {
  return { type: 'Sequence', pretokenizers };
}

const GPT2: PreTokenization = {
  normalizer: null,
  preTokenizer: BYTE_LEVEL_WORDS,
  ignoreMerges: false,
  addBos: false,
};

const LLAMA3: PreTokenization = {
  normalizer: null,
  preTokenizer: sequence(wordsWithNumbers('\\p{N}{1,3}'), BYTE_LEVEL),
  ignoreMerges: true,
  addBos: true,
};

const QWEN2: PreTokenization = {
  normalizer: { type: 'NFC' },
  preTokenizer: sequence(wordsWithNumbers('\\p{N}'), BYTE_LEVEL),
  ignoreMerges: false,
  addBos: false,
};

/** Each digit on its own: the published file says so by `Digits`, which in JavaScript knows ASCII's alone. */
const SMOLLM: PreTokenization = {
  normalizer: null,
  preTokenizer: sequence(split('\\p{N}'), BYTE_LEVEL_WORDS),
  ignoreMerges: false,
  addBos: false,
};

/** What llama.cpp does with files that name no family. */
const UNNAMED: PreTokenization = {
  normalizer: null,
  preTokenizer: sequence(
    split('[\\p{P}\\$\\+<=>\\^~\\|]+'),
    split("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"),
    split('\\p{N}+'),
    split('[0-9][0-9][0-9]'),
    BYTE_LEVEL,
  ),
  ignoreMerges: false,
  addBos: false,
};

const FAMILIES: ReadonlyMap<string, PreTokenization> = new Map([
  ['default', UNNAMED],
  ['gpt-2', GPT2],
  ['llama3', LLAMA3],
  ['llama-v3', LLAMA3],
  ['llama-bpe', LLAMA3],
  ['qwen2', QWEN2],
  ['deepseek-r1-qwen', QWEN2],
  ['smollm', SMOLLM],
]);

/** Throws `unsupported-model` with the family's name. */
export function preTokenization(family: string): PreTokenization {
  const known = FAMILIES.get(family);
  if (known !== undefined) return known;
  throw new IsthmusError(
    'unsupported-model',
    `the GGUF's texts are cut into words in a way that is not known here: tokenizer.ggml.pre is '${family}'`,
    { details: { pre: family, supported: [...FAMILIES.keys()] } },
  );
}
