/** Of a lexicon what some tokens need. */
import { type Lexicon, type LexiconPart, textsOf } from '../core/lexicon.ts';

/** @param lexicon what `packLexicon` makes: its added tokens are a list of objects with an `id`, where there are any */
export function lexiconPart(lexicon: Lexicon, tokens: readonly number[]): LexiconPart {
  const { units, ends, silent, addedTokens, ...rules } = lexicon;
  const wanted = new Set(tokens);
  const textOf = textsOf(lexicon);
  return {
    ...rules,
    addedTokens: Array.isArray(addedTokens) ? addedTokens.filter(({ id }) => wanted.has(id)) : [],
    texts: new Map([...wanted].map((token) => [token, textOf(token)])),
  };
}
