/** An endpoint's words over `fetch`. */

import { checkLimit } from '../protocol/json.ts';
import {
  MAX_FAR_TEXT,
  MAX_FAR_TOKENS,
  MAX_WORDS_ANSWER_BYTES,
  parseEncoded,
  parseRead,
  type WordsRequest,
  wordsPath,
  wordsRequest,
} from '../protocol/words-messages.ts';
import type { FarWords } from '../runtime/words.ts';
import { exchangeSmall } from './http-small.ts';

/** Ms: longer than any tokenizer of that size would have taken to come. */
const LIMIT_MS = 20_000;

/** Plain text, for a page of another origin to be asked no permission first: a round trip before the first word. */
const SIMPLE_CONTENT_TYPE = 'text/plain;charset=UTF-8';

/** @param base the endpoint's URL, absolute */
export function httpWords(base: string, model: string, send: typeof fetch): FarWords {
  const url = `${base.replace(/\/+$/, '')}${wordsPath(model)}`;
  const ask = (asked: WordsRequest, signal: AbortSignal | undefined): Promise<Uint8Array> => {
    const late = AbortSignal.timeout(LIMIT_MS);
    return exchangeSmall(url, {
      fetch: send,
      body: wordsRequest(asked),
      type: SIMPLE_CONTENT_TYPE,
      // As the manifest is asked for, over a connection that is there: a round trip less.
      credentials: 'same-origin',
      limit: MAX_WORDS_ANSWER_BYTES,
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
    });
  };
  return {
    encode: async (text, special, signal) => {
      checkLimit('the text', text.length, MAX_FAR_TEXT);
      return parseEncoded(await ask({ kind: 'encode', text, special }, signal));
    },
    read: async (tokens, signal) => {
      checkLimit('tokens to read', tokens.length, MAX_FAR_TOKENS);
      return parseRead(await ask({ kind: 'read', tokens }, signal));
    },
  };
}
