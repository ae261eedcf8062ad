/** The tokens behind a lane's state, as far as the lane has seen them: what guesses are looked up in. Pure. */

/** Of a row that came as tensors, or as a copy of state. No model has such a token. */
export const UNSEEN = -1;

export class LaneText {
  readonly #tokens: number[] = [];

  /** What stands from `position` on is these tokens, and nothing behind them yet. */
  put(position: number, tokens: readonly number[]): void {
    this.cut(position);
    while (this.#tokens.length < position) this.#tokens.push(UNSEEN);
    for (const token of tokens) this.#tokens.push(token);
  }

  /** Rows from `position` on are others, or gone. */
  cut(position: number): void {
    if (this.#tokens.length > position) this.#tokens.length = position;
  }

  /** The first `length` tokens; those of the answer, which ends there, are known to whoever asks. */
  read(length: number, answer: readonly number[]): number[] {
    const text = this.#tokens.slice(0, length);
    while (text.length < length) text.push(UNSEEN);
    const from = Math.max(0, length - answer.length);
    for (let at = from; at < length; at += 1) text[at] = answer[answer.length - length + at] ?? UNSEEN;
    return text;
  }
}
