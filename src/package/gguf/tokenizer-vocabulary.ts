/** The tokens of a GGUF, each with its kind. */
import { IsthmusError } from '../../errors.ts';
import { type Metadata, numbersOf, required, stringsOf } from './metadata.ts';

/** `llama_token_type` of llama.h. */
export const TOKEN_KINDS = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly kinds: readonly number[];
  readonly ids: ReadonlyMap<string, number>;
}

/** Throws `bad-model` for a vocabulary that is missing, empty, of uneven length or with one token twice. */
export function readVocabulary(metadata: Metadata): Vocabulary {
  const listed = required(stringsOf(metadata, 'tokenizer.ggml.tokens'), 'tokenizer.ggml.tokens');
  if (listed.length === 0) throw new IsthmusError('bad-model', "the GGUF's vocabulary is empty");
  const kinds = numbersOf(metadata, 'tokenizer.ggml.token_type') ?? listed.map(() => TOKEN_KINDS.normal);
  if (kinds.length !== listed.length) {
    throw new IsthmusError('bad-model', "the GGUF's tokens and their types differ in number", {
      details: { tokens: listed.length, types: kinds.length },
    });
  }
  // A token without text would match everywhere; llama.cpp names them so.
  const tokens = listed.map((text, id) => (text === '' ? `[EMPTY_${id}]` : text));
  const ids = new Map<string, number>();
  for (const [id, text] of tokens.entries()) {
    const other = ids.get(text);
    if (other !== undefined) {
      throw new IsthmusError('bad-model', `tokens ${other} and ${id} of the GGUF are the same text`);
    }
    ids.set(text, id);
  }
  return { tokens, kinds, ids };
}

/** An entry of `added_tokens`: found in a text before it is cut into words. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: false;
  readonly lstrip: false;
  readonly rstrip: false;
  readonly normalized: false;
  /** Not part of the text that a user reads. */
  readonly special: boolean;
}

export function addedTokens({ tokens, kinds }: Vocabulary): AddedToken[] {
  const { control, unknown, userDefined } = TOKEN_KINDS;
  return tokens.flatMap((content, id) => {
    const kind = kinds[id];
    if (kind !== control && kind !== unknown && kind !== userDefined) return [];
    const special = kind !== userDefined;
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
}
