/** What an endpoint has told of words with its tokens: nobody asks about those again. */
import type { LexiconPart } from '../core/lexicon.ts';
import type { FarWords } from '../runtime/words.ts';

export class HeardWords {
  /** What tokens are read by is of the first that was heard: it goes with no other. */
  #heard: LexiconPart | undefined;

  add(part: LexiconPart): void {
    const before = this.#heard;
    this.#heard =
      before === undefined
        ? part
        : {
            ...before,
            addedTokens: [...listOf(before), ...listOf(part)],
            texts: new Map([...before.texts, ...part.texts]),
          };
  }

  /** As `read`, which is called only for what was not heard. */
  orAsked(read: FarWords['read']): FarWords['read'] {
    return async (tokens, signal) => this.#of(tokens) ?? read(tokens, signal);
  }

  #of(tokens: readonly number[]): LexiconPart | undefined {
    const heard = this.#heard;
    if (heard === undefined || !tokens.every((token) => heard.texts.has(token))) return undefined;
    const wanted = new Set(tokens);
    return {
      ...heard,
      addedTokens: listOf(heard).filter(({ id }) => typeof id === 'number' && wanted.has(id)),
      texts: new Map(tokens.map((token) => [token, heard.texts.get(token) ?? null])),
    };
  }
}

/** As `parseRead` makes them. */
function listOf({ addedTokens }: LexiconPart): readonly { readonly id?: unknown }[] {
  return Array.isArray(addedTokens) ? addedTokens : [];
}
