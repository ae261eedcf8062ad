/** What an endpoint has told of words with its tokens: nobody asks about those again. */
import { addedTokensOf, type LexiconPart, type ReadingRules } from '../core/lexicon.ts';
import type { FarWords } from '../runtime/words.ts';

export class HeardWords {
  /** What tokens are read by, of the first that was heard: it goes with no other. */
  #rules: ReadingRules | undefined;
  readonly #added: unknown[] = [];
  readonly #texts = new Map<number, string | null>();

  add({ texts, addedTokens, ...rules }: LexiconPart): void {
    this.#added.push(...addedTokensOf({ ...rules, addedTokens }, new Set(texts.keys())));
    this.#rules ??= { ...rules, addedTokens: this.#added };
    for (const [token, text] of texts) this.#texts.set(token, text);
  }

  /** As `read`, which is called only for what was not heard. */
  orAsked(read: FarWords['read']): FarWords['read'] {
    return async (tokens, signal) => this.#of(tokens) ?? read(tokens, signal);
  }

  #of(tokens: readonly number[]): LexiconPart | undefined {
    const rules = this.#rules;
    if (rules === undefined || !tokens.every((token) => this.#texts.has(token))) return undefined;
    return {
      ...rules,
      addedTokens: addedTokensOf(rules, new Set(tokens)),
      texts: new Map(tokens.map((token) => [token, this.#texts.get(token) ?? null])),
    };
  }
}
