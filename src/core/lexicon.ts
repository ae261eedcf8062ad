/**
 * What tokens read like, without what texts are cut into tokens by: a tenth of a tokenizer, in buffers that are moved
 * between threads instead of copied. Reading needs nothing more; see `tasks/token-reader.ts`.
 */
export interface Lexicon extends ReadingRules {
  /** UTF-16 units of all tokens' texts, one behind the other, and where each of them ends. */
  readonly units: Uint16Array<ArrayBuffer>;
  readonly ends: Uint32Array<ArrayBuffer>;
  /** Ids that stand for no text: special tokens, and gaps in the vocabulary. */
  readonly silent: Uint32Array<ArrayBuffer>;
}

/** What a tokenizer decodes by. */
export interface ReadingRules {
  /** Of `tokenizer.json`, as it is there. */
  readonly decoder: unknown;
  readonly addedTokens: unknown;
  readonly endOfWordSuffix?: string;
  /** Of `tokenizer_config.json`. */
  readonly cleanUp?: boolean;
}

/** UTF-16 units of one token; a longer one could not be read in one call, and stands for no word. */
export const MAX_TOKEN_LENGTH = 2 ** 14;

/** The text of each token; null where it stands for none. */
export function textsOf({ units, ends, silent }: Lexicon): (token: number) => string | null {
  const isSilent = new Set(silent);
  return (token) => {
    const end = ends[token];
    if (end === undefined || isSilent.has(token)) return null;
    return String.fromCharCode(...units.subarray(ends[token - 1] ?? 0, end));
  };
}

/** Of added tokens, a list of objects with an `id` where there are any, those of `wanted`. */
export function addedTokensOf(
  { addedTokens }: ReadingRules,
  wanted: ReadonlySet<number>,
): readonly unknown[] {
  return Array.isArray(addedTokens) ? addedTokens.filter(({ id }) => wanted.has(id)) : [];
}

/** A lexicon of some tokens alone; its rules' added tokens are those of them. */
export interface LexiconPart extends ReadingRules {
  /** The tokens' texts; null: it stands for none. */
  readonly texts: ReadonlyMap<number, string | null>;
}
