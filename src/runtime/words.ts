/** A package's tokenizer on the runner's thread: cutting text into tokens is heavy, reading tokens is not. */
import type { Lexicon, LexiconPart } from '../core/lexicon.ts';

/** As templates take it; see `ChatMessage`. */
export type WordsMessages = readonly { readonly role: string; readonly content: string }[];

export interface Words {
  /** To read tokens with. Throws `bad-package`, and what reading a file throws. */
  lexicon(): Promise<Lexicon>;
  /** See `TextTokenizer.encode`. Throws `input-too-long` besides. */
  encode(text: string, special: boolean): Promise<readonly number[]>;
  /** Messages as the prompt that the model's template makes of them, up to where its answer begins; see `renderChat`. */
  chat(messages: WordsMessages): Promise<string>;
}

/** What an endpoint tells of a package's words to who has no tokenizer yet. */
export interface FarWords {
  /** As `Words.encode`. Throws `limit-exceeded` for longer texts than `MAX_FAR_TEXT`, and what an exchange throws. */
  encode(text: string, special: boolean, signal?: AbortSignal): Promise<readonly number[]>;
  /** What these tokens read like, `MAX_FAR_TOKENS` at most. Throws `limit-exceeded`, and what an exchange throws. */
  read(tokens: readonly number[], signal?: AbortSignal): Promise<LexiconPart>;
  /** The same without a wait; undefined where it would take one. Only beside the tokenizer itself. */
  known?(tokens: readonly number[]): LexiconPart | undefined;
}
