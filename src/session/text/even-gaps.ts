/**
 * Spreads a pause that is about to come over the tokens before it: each of them is shown a little later than it came,
 * until the text is so far behind itself that the pause is as short as any other gap.
 */

/** Gaps from which the usual one is told. */
const RECENT_GAPS = 16;

/** While the pause is spread, no gap is longer than the usual one by more than this factor, if tokens come as usual. */
const MAX_STRETCH = 1.5;

export class EvenGaps {
  readonly #arrivals: number[] = [];
  #shownAt = -Infinity;
  #gapMs = 0;
  #mostMs = 0;

  /** A token will soon come so many ms behind the one before it. */
  expect(pauseMs: number): void {
    const usual = this.#usualMs();
    this.#gapMs = Math.min(pauseMs, MAX_STRETCH * usual);
    this.#mostMs = Math.max(0, pauseMs - usual);
  }

  /** It has come, or never will. */
  over(): void {
    this.#gapMs = 0;
    this.#mostMs = 0;
  }

  /** Ms by which the token that has come now is to be shown later; never before an earlier one. */
  holdMs(now: number): number {
    this.#arrivals.push(now);
    if (this.#arrivals.length > RECENT_GAPS + 1) this.#arrivals.shift();
    this.#shownAt = Math.max(now, this.#shownAt, Math.min(this.#shownAt + this.#gapMs, now + this.#mostMs));
    return this.#shownAt - now;
  }

  #usualMs(): number {
    const [first = 0] = this.#arrivals;
    const last = this.#arrivals.at(-1) ?? first;
    return (last - first) / Math.max(1, this.#arrivals.length - 1);
  }
}
