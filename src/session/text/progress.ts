/** How far the answer under way is. */

/** Tokens that show a pace; the first comes behind the prompt and shows none. */
const LEAST_TOKENS = 8;

export class Progress {
  #most = 0;
  #made = 0;
  #firstAt = 0;
  #lastAt = 0;

  /** @param most tokens of an answer that begins */
  begin(most: number): void {
    this.#most = most;
    this.#made = 0;
  }

  token(now: number): void {
    if (this.#made === 0) this.#firstAt = now;
    this.#made += 1;
    this.#lastAt = now;
  }

  end(): void {
    this.#most = 0;
    this.#made = 0;
  }

  /** Ms until it has all tokens that it may have, at its pace so far. Infinity where that shows no pace yet; 0 for none. */
  get leftMs(): number {
    if (this.#most === 0) return 0;
    if (this.#made < LEAST_TOKENS) return Infinity;
    const pace = Math.max(0, this.#lastAt - this.#firstAt) / (this.#made - 1);
    return pace * Math.max(0, this.#most - this.#made);
  }
}
