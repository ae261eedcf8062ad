/** What the tokens of one request or lane read like: told with the tokens themselves, so that nobody has to ask. */
import type { TokensMessage } from '../../protocol/messages.ts';
import type { FarWords } from '../../runtime/words.ts';

export class WordTeller {
  readonly #words: FarWords | undefined;
  readonly #told = new Set<number>();

  /** @param words undefined where nobody here reads the model's tokens */
  constructor(words: FarWords | undefined) {
    this.#words = words;
  }

  /**
   * Each token once; what tokens are read by comes with the first. Nothing while the tokenizer is still being read:
   * tokens wait for nothing, and who was not told may ask.
   */
  of(tokens: readonly number[]): Pick<TokensMessage, 'words'> {
    const untold = tokens.filter((token) => !this.#told.has(token));
    if (untold.length === 0) return {};
    const part = this.#words?.known?.(untold);
    if (part === undefined) return {};
    const isFirst = this.#told.size === 0;
    for (const token of untold) this.#told.add(token);
    return { words: isFirst ? part : { decoder: null, addedTokens: part.addedTokens, texts: part.texts } };
  }
}
