/**
 * `POST /v2/models/{model}/words`: a text into tokens, or what tokens read like. JSON both ways, for both are small and
 * asked for on first visits alone; later the tokenizer itself is there.
 */
import { type LexiconPart, MAX_TOKEN_LENGTH } from '../core/lexicon.ts';
import { tokensOf } from './common-fields.ts';
import {
  badFrame,
  checkLimit,
  flagField,
  type JsonObject,
  listField,
  objectField,
  parseJsonObject,
  textField,
} from './json.ts';

/** UTF-16 units: some three pages, which take 50 ms at worst. Who pastes more waits for the tokenizer, and no other client for that. */
export const MAX_FAR_TEXT = 2 ** 13;

/** A token stands for a part of a character at least, and a character has four bytes at most. */
export const MAX_ENCODED_TOKENS = 4 * MAX_FAR_TEXT;

/** Tokens that can be asked about at once: a whole answer, should it have come before anything was asked. */
export const MAX_FAR_TOKENS = 4096;

/** A unit takes six bytes where JSON escapes it. */
export const MAX_WORDS_REQUEST_BYTES = 6 * MAX_FAR_TEXT + 1024;

/** A token for each unit of a text, in decimal with a comma, or the texts of tokens: a few bytes each but for odd ones. */
export const MAX_WORDS_ANSWER_BYTES = 2 ** 20;

export type WordsRequest =
  | { readonly kind: 'encode'; readonly text: string; readonly special: boolean }
  | { readonly kind: 'read'; readonly tokens: readonly number[] };

export function wordsPath(model: string): string {
  return `/v2/models/${encodeURIComponent(model)}/words`;
}

export function wordsRequest(asked: WordsRequest): string {
  const { kind, ...fields } = asked;
  return JSON.stringify(fields);
}

/** Throws `bad-frame`, `limit-exceeded`. */
export function parseWordsRequest(bytes: Uint8Array): WordsRequest {
  const { text, special, tokens } = parseJsonObject(bytes, 'a question about words');
  if (tokens !== undefined)
    return { kind: 'read', tokens: tokensOf(tokens, 'tokens to read', MAX_FAR_TOKENS) };
  return {
    kind: 'encode',
    text: textField(text, 'the text', MAX_FAR_TEXT),
    special: flagField(special, 'whether special tokens are wanted'),
  };
}

export function encodedAnswer(tokens: readonly number[]): object {
  return { tokens };
}

/** Throws `bad-frame`, `limit-exceeded`. */
export function parseEncoded(bytes: Uint8Array): readonly number[] {
  const { tokens } = parseJsonObject(bytes, 'the tokens of a text');
  return tokensOf(tokens, 'tokens of a text', MAX_ENCODED_TOKENS);
}

export function readAnswer({ texts, ...rules }: LexiconPart): JsonObject {
  return { ...rules, texts: [...texts] };
}

/** Throws `bad-frame`, `limit-exceeded`. What a tokenizer decodes by is its library's to judge. */
export function parseRead(bytes: Uint8Array): LexiconPart {
  return partOf(parseJsonObject(bytes, 'the texts of tokens'));
}

/** As `readAnswer` writes it. Throws as `parseRead` does. */
export function partOf(fields: JsonObject): LexiconPart {
  const { decoder = null, cleanUp, endOfWordSuffix: suffix } = fields;
  if (decoder !== null) objectField(decoder, 'a decoder');
  return {
    decoder,
    addedTokens: addedOf(fields),
    ...(typeof cleanUp === 'boolean' ? { cleanUp } : {}),
    ...(suffix == null ? {} : { endOfWordSuffix: textField(suffix, 'the end of words', MAX_TOKEN_LENGTH) }),
    texts: new Map(listField(fields.texts, 'texts of tokens', MAX_FAR_TOKENS).map(entryOf)),
  };
}

function addedOf({ addedTokens }: JsonObject): readonly JsonObject[] {
  return listField(addedTokens, 'added tokens', MAX_FAR_TOKENS).map((added) =>
    objectField(added, 'an added token'),
  );
}

function entryOf(value: unknown): readonly [number, string | null] {
  const [id, text] = listField(value, 'a token and its text', 2);
  const [token] = tokensOf([id], 'a token', 1);
  if (token === undefined || (text !== null && typeof text !== 'string'))
    throw badFrame('a text of a token is none');
  if (text !== null) checkLimit('the text of a token', text.length, MAX_TOKEN_LENGTH);
  return [token, text];
}
