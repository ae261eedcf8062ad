/** Words of a package for others, on the thread that has its tokenizer. */
import type { Lexicon } from '../core/lexicon.ts';
import { unlessFailed } from '../core/unless-failed.ts';
import type { FarWords } from '../runtime/words.ts';
import { lexiconPart } from './lexicon-part.ts';
import { localWords, type WordsHome } from './local-words.ts';

/** Undefined for a package without a tokenizer, which is read when it is first needed. */
export function wordsForOthers(home: WordsHome): FarWords | undefined {
  if (home.manifest.tokenizer === undefined) return undefined;
  const words = localWords(home);
  let here: Lexicon | undefined;
  const lexicon = unlessFailed(async () => {
    here = await words.lexicon();
    return here;
  });
  return {
    encode: (text, special) => words.encode(text, special),
    read: async (tokens) => lexiconPart(await lexicon(), tokens),
    known: (tokens) => {
      if (here !== undefined) return lexiconPart(here, tokens);
      // For the next time; who asks for it hears why it fails.
      lexicon().catch(() => undefined);
      return undefined;
    },
  };
}
