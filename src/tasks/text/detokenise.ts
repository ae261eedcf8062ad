/**
 * Tokens in, text out, piece by piece. A token may hold part of a character, and what a token reads like may
 * depend on those before it (SentencePiece drops the space at a text's beginning), so a window of the last
 * tokens is decoded as a whole and only what is new of it given out (the offsets of Hugging Face's
 * text-generation-inference and of vLLM).
 */
import type { TokenReader } from '../token-reader.ts';

/** What a decoder writes for bytes that are no UTF-8, and for a character whose bytes are not all there. */
const REPLACEMENT = '\uFFFD';

/**
 * A character has at most four bytes and each token at least one: a window this long that still ends within a
 * character has junk in it, and need not begin with all of that.
 */
const MAX_WINDOW = 32;
const SHORT_WINDOW = 8;

export class Detokeniser {
  readonly #tokenizer: Pick<TokenReader, 'text' | 'isSpecial'>;
  #window: number[] = [];
  /** Tokens of the window that were there when the text was last known to end with a whole character. */
  #whole = 0;
  /** Length of the window's text that was given out (UTF-16 units). */
  #given = 0;

  constructor(tokenizer: Pick<TokenReader, 'text' | 'isSpecial'>) {
    this.#tokenizer = tokenizer;
  }

  /** The text that is certain with this token and was not given out before; whole characters, maybe none. */
  push(token: number): string {
    // Left out of the window, so that the token behind one is not taken for a text's beginning.
    if (this.#tokenizer.isSpecial(token)) return '';
    this.#window.push(token);
    const text = this.#tokenizer.text(this.#window);
    // Only the last mark can stand for a character that is yet to be completed.
    const open = text.endsWith(REPLACEMENT);
    const certain = open ? text.length - REPLACEMENT.length : text.length;
    const piece = text.slice(this.#given, certain);
    this.#given = Math.max(this.#given, certain);
    if (!open) this.#moveOn();
    else if (this.#window.length > MAX_WINDOW) this.#shorten();
    return piece;
  }

  /** The text is over: what cannot be completed any more, as U+FFFD. */
  end(): string {
    const rest = this.#tokenizer.text(this.#window).slice(this.#given);
    this.#window = [];
    this.#whole = 0;
    this.#given = 0;
    return rest;
  }

  /** The window keeps the tokens of the last pieces, as far back as they have text. */
  #moveOn(): void {
    const kept = this.#window.slice(this.#whole);
    const text = this.#tokenizer.text(kept);
    if (text !== '') {
      this.#window = kept;
      this.#given = text.length;
    }
    this.#whole = this.#window.length;
  }

  #shorten(): void {
    this.#window = this.#window.slice(-SHORT_WINDOW);
    this.#whole = 0;
    this.#given = this.#tokenizer.text(this.#window).length - REPLACEMENT.length;
  }
}
