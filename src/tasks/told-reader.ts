/**
 * Tokens as text while the tokenizer is on its way: read by what the endpoint says of them, which made them, and by the
 * tokenizer from when it is here.
 */
import type { LexiconPart } from '../core/lexicon.ts';
import type { FarWords } from '../runtime/words.ts';
import { openPart, type TokenReader } from './token-reader.ts';

/** Asked about at once at most; the rest is next. */
const MOST = 1024;

const NOTHING: LexiconPart = { decoder: null, addedTokens: [], texts: new Map() };

export class ToldReader implements TokenReader {
  readonly #far: FarWords;
  readonly #local: () => Promise<TokenReader>;
  readonly #signal: AbortSignal | undefined;
  #part = NOTHING;
  /** Of `#part`. */
  #reader = openPart(NOTHING);
  /** The tokenizer's own, which knows all. */
  #whole: TokenReader | undefined;
  #asking: Promise<void> | undefined;

  /** @param local the tokenizer's own reader, asked for where the endpoint cannot tell; who asks twice shares one */
  constructor(far: FarWords, local: () => Promise<TokenReader>, signal?: AbortSignal) {
    this.#far = far;
    this.#local = local;
    this.#signal = signal;
  }

  /** Whether all of these can be read now. */
  knows(tokens: readonly number[]): boolean {
    return this.#whole !== undefined || tokens.every((token) => this.#part.texts.has(token));
  }

  /**
   * Resolves when all of these can be read; one question at a time, about all that came meanwhile. An endpoint that cannot
   * tell has the tokenizer waited for. Throws what that throws, and `aborted`.
   */
  async learn(tokens: readonly number[]): Promise<void> {
    while (!this.knows(tokens)) {
      this.#asking ??= this.#ask(tokens).finally(() => {
        this.#asking = undefined;
      });
      await this.#asking;
    }
  }

  /** From when it is here on. Throws what reading it throws; may be called again then. */
  async useLocal(): Promise<void> {
    this.#whole ??= await this.#local();
  }

  isSpecial(token: number): boolean {
    return (this.#whole ?? this.#reader).isSpecial(token);
  }

  text(tokens: readonly number[]): string {
    return (this.#whole ?? this.#reader).text(tokens);
  }

  decode(tokens: readonly number[]): string {
    return (this.#whole ?? this.#reader).decode(tokens);
  }

  async #ask(tokens: readonly number[]): Promise<void> {
    const unknown = [...new Set(tokens)].filter((token) => !this.#part.texts.has(token)).slice(0, MOST);
    try {
      const told = await this.#far.read(unknown, this.#signal);
      // One that is silent about a token would be asked for ever.
      if (!unknown.every((token) => told.texts.has(token))) throw new Error('not all tokens were told');
      const addedTokens = [this.#part, told].flatMap((part) => part.addedTokens as readonly unknown[]);
      const part = { ...told, addedTokens, texts: new Map([...this.#part.texts, ...told.texts]) };
      this.#reader = openPart(part);
      this.#part = part;
    } catch (error) {
      if (this.#signal?.aborted === true) throw error;
      await this.useLocal();
    }
  }
}
