/** Words of a package for others, on the thread that has its tokenizer. */
import type { Lexicon } from '../core/lexicon.ts';
import type { FarWords } from '../runtime/words.ts';
import { lexiconPart } from './lexicon-part.ts';
import { localWords, type WordsHome } from './local-words.ts';

/** Undefined for a package without a tokenizer, which is read when it is first needed. */
export function wordsForOthers(home: WordsHome): FarWords | undefined {
  if (home.manifest.tokenizer === undefined) return undefined;
  const words = localWords(home);
  let lexicon: Promise<Lexicon> | undefined;
  const whole = (): Promise<Lexicon> => {
    if (lexicon !== undefined) return lexicon;
    const made = words.lexicon();
    lexicon = made;
    // A file that could not be read may be there the next time.
    made.catch(() => {
      lexicon = undefined;
    });
    return made;
  };
  return {
    encode: (text, special) => words.encode(text, special),
    read: async (tokens) => lexiconPart(await whole(), tokens),
  };
}
