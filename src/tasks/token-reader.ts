/**
 * Tokens as text. It takes no more than the texts of those tokens that are read: the vocabulary stays in the buffers
 * that it came in, and building a reader takes no time that a page could feel.
 */
import { Tokenizer } from '@huggingface/tokenizers';
import { type Lexicon, type LexiconPart, type ReadingRules, textsOf } from '../core/lexicon.ts';
import { IsthmusError } from '../errors.ts';

export interface TokenDecoder {
  /** Text of tokens from the beginning; a character whose bytes are not all there is left out. */
  decode(tokens: readonly number[]): string;
}

export interface TokenReader extends TokenDecoder {
  /** The token stands for no text: it is special, or not in the vocabulary. */
  isSpecial(token: number): boolean;
  /** Text of tokens as it is: spaces untouched, U+FFFD for bytes that are no UTF-8 or not all there. */
  text(tokens: readonly number[]): string;
}

/** @param decode what the tokenizer makes of tokens that all have a text, and of one at least */
export function tokenReader(
  isSpecial: (token: number) => boolean,
  decode: (tokens: number[], cleanUp: false | null) => string,
): TokenReader {
  // The tokenizer throws on an empty list and on ids that it has no text for (vocabularies are padded).
  const decoded = (tokens: readonly number[], cleanUp: false | null): string => {
    const visible = tokens.filter((token) => !isSpecial(token));
    return visible.length === 0 ? '' : decode(visible, cleanUp);
  };
  return {
    isSpecial,
    decode: (tokens) => withoutPartial(decoded(tokens, null)),
    text: (tokens) => decoded(tokens, false),
  };
}

/** Reads as the tokenizer does that the lexicon is of. Throws `bad-package`. */
export function openReader(lexicon: Lexicon): TokenReader {
  return readerBy(lexicon, textsOf(lexicon));
}

/** Reads those tokens as the tokenizer does, and takes others for special. Throws `bad-package`. */
export function openPart(part: LexiconPart): TokenReader {
  return readerBy(part, (token) => part.texts.get(token) ?? null);
}

/** @param textOf null for a token that stands for none */
function readerBy(rules: ReadingRules, textOf: (token: number) => string | null): TokenReader {
  const inner = withoutVocabulary(rules);
  const isSpecial = (token: number): boolean => textOf(token) === null;
  return tokenReader(isSpecial, (tokens, cleanUp) => {
    const vocab = inner.model?.vocab ?? [];
    for (const token of tokens) vocab[token] ??= textOf(token) ?? '';
    return inner.decode(tokens, { clean_up_tokenization_spaces: cleanUp });
  });
}

/** The library's tokenizer with all that it reads by, and an empty vocabulary, which grows by what is read. */
function withoutVocabulary({ decoder, addedTokens, endOfWordSuffix, cleanUp }: ReadingRules): Tokenizer {
  const model = { type: 'BPE', vocab: {}, merges: [], end_of_word_suffix: endOfWordSuffix };
  const nothing = { normalizer: null, pre_tokenizer: null, post_processor: null };
  const config = cleanUp === undefined ? {} : { clean_up_tokenization_spaces: cleanUp };
  try {
    return new Tokenizer({ model, decoder, added_tokens: addedTokens, ...nothing }, config);
  } catch (cause) {
    throw new IsthmusError('bad-package', 'the tokenizer of the package cannot be read', { cause });
  }
}

/** Byte tokens of an unfinished character decode to replacement characters at the end. */
function withoutPartial(text: string): string {
  return text.replace(/\uFFFD+$/, '');
}
