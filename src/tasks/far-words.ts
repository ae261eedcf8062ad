/** Words of a package for others, on the thread that has its tokenizer. */
import type { LexiconPart } from '../core/lexicon.ts';
import { unlessFailed } from '../core/unless-failed.ts';
import type { FarWords } from '../runtime/words.ts';
import { partsOf } from './lexicon-part.ts';
import { localWords, type WordsHome } from './local-words.ts';

/** Undefined for a package without a tokenizer, which is read when it is first needed. */
export function wordsForOthers(home: WordsHome): FarWords | undefined {
  if (home.manifest.tokenizer === undefined) return undefined;
  const words = localWords(home);
  let here: ((tokens: readonly number[]) => LexiconPart) | undefined;
  const parts = unlessFailed(async () => {
    here = partsOf(await words.lexicon());
    return here;
  });
  return {
    encode: (text, special) => words.encode(text, special),
    read: async (tokens) => (await parts())(tokens),
    known: (tokens) => {
      // For the next time; who asks for it hears why it fails.
      if (here === undefined) parts().catch(() => undefined);
      return here?.(tokens);
    },
  };
}
