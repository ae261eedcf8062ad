/**
 * Spreads a pause that is about to come over the tokens before it: each of them is shown a little later than it came,
 * until the text is so far behind itself that the pause is as short as any other gap.
 */

/** Gaps from which the usual one is told. */
const RECENT_GAPS = 16;

/** Gaps that are longer by this factor are not felt: more than what they differ by on a good link is not spread at once. */
const STRETCH = 1.2;

/** Of a token; longer pauses are those of a place that goes on as slowly. */
const MAX_HOLD_MS = 100;

export class EvenGaps {
  readonly #arrivals: number[] = [];
  #shownAt = -Infinity;
  #gapMs = 0;
  #mostMs = 0;

  /**
   * A token will soon come so many ms behind the one before it. Whether those before it have been held long enough,
   * if the latest was the last of them.
   */
  expect(pauseMs: number): boolean {
    const usual = this.#usualMs();
    this.#gapMs = STRETCH * usual;
    this.#mostMs = Math.min(MAX_HOLD_MS, Math.max(0, pauseMs - usual));
    const held = this.#shownAt - (this.#arrivals.at(-1) ?? this.#shownAt);
    return pauseMs - held <= this.#gapMs || held >= MAX_HOLD_MS;
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
