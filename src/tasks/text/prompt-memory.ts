/**
 * The tokens of the text so far, as they were made. An answer encoded anew may fall into other tokens than
 * those that the model chose, and then nothing behind the first difference could be kept.
 */
export class PromptMemory {
  #text = '';
  #tokens: readonly number[] = [];

  keep(text: string, tokens: readonly number[]): void {
    this.#text = text;
    this.#tokens = tokens;
  }

  /**
   * Tokens of `text`: where it goes on from the one before, that one's tokens and those of the rest. A rest
   * that could have merged with what is before it (one that begins within a word) is no new turn, and the
   * whole is encoded anew.
   */
  async encode(
    text: string,
    encode: (rest: string) => Promise<readonly number[]>,
  ): Promise<readonly number[]> {
    if (this.#text === '' || !text.startsWith(this.#text)) return encode(text);
    const rest = text.slice(this.#text.length);
    const before = this.#tokens;
    if (rest === '') return before;
    return /^[\s<[|]/.test(rest) ? [...before, ...(await encode(rest))] : encode(text);
  }
}
