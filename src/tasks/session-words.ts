/** A session's words: read on this thread, token by token as they come; made on the runner's, where it has one. */
import type { Words } from '../runtime/words.ts';
import { localWords, type WordsHome } from './local-words.ts';
import { openReader, type TokenReader } from './token-reader.ts';

export interface SpeakingHome extends WordsHome {
  /** Absent where the runner has no thread of its own. */
  readonly words?: Words | undefined;
}

const locals = new WeakMap<SpeakingHome, Words>();
const readers = new WeakMap<SpeakingHome, Promise<TokenReader>>();

export function wordsOf(session: SpeakingHome): Words {
  const words = session.words ?? locals.get(session) ?? localWords(session);
  if (session.words === undefined) locals.set(session, words);
  return words;
}

/** Made once per session. Throws what `Words.lexicon` throws. */
export function readerOf(session: SpeakingHome): Promise<TokenReader> {
  let reader = readers.get(session);
  if (reader === undefined) {
    reader = wordsOf(session).lexicon().then(openReader);
    readers.set(session, reader);
    // A fetch that failed may succeed at the next request.
    reader.catch(() => readers.delete(session));
  }
  return reader;
}
