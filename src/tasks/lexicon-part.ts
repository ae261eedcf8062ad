/** Of a lexicon what some tokens need. */
import { addedTokensOf, type Lexicon, type LexiconPart, textsOf } from '../core/lexicon.ts';

/**
 * What goes over all tokens is done once; what is told with each token of an answer takes no more than that token.
 * @param lexicon what `packLexicon` makes
 */
export function partsOf(lexicon: Lexicon): (tokens: readonly number[]) => LexiconPart {
  const { units, ends, silent, addedTokens, ...rules } = lexicon;
  const textOf = textsOf(lexicon);
  return (tokens) => {
    const wanted = new Set(tokens);
    return {
      ...rules,
      addedTokens: addedTokensOf(lexicon, wanted),
      texts: new Map([...wanted].map((token) => [token, textOf(token)])),
    };
  };
}

export function lexiconPart(lexicon: Lexicon, tokens: readonly number[]): LexiconPart {
  return partsOf(lexicon)(tokens);
}
