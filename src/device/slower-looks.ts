/**
 * Looks at a device that no request runs on, and what of them is believed. What runs beside a look makes it slower (the
 * endpoint on the same machine, another tab for a moment), and nothing makes it faster than the device is. So a faster
 * one is believed at once, and a slower one when so many in a row were, by the least of them: whoever runs elsewhere
 * loses nothing by that, and who believes one such look stays elsewhere for no reason.
 */

import { expectedMs, type PacedSide, type Run } from './paced-side.ts';

/** A look that differs by less is noise. */
export const LOOK_NOISE = 1.1;

/** In a row, before a slower device is believed. */
export const SLOWER_IN_A_ROW = 3;

/** @typeParam T what a look found, beside by how much it was slower than was believed */
export class SlowerLooks<T> {
  #held: { readonly factor: number; readonly found: T }[] = [];

  /** What is to be believed now: nothing yet, or the least slow of those in a row. */
  take(factor: number, found: T): { readonly factor: number; readonly found: T } | undefined {
    this.#held.push({ factor, found });
    if (this.#held.length < SLOWER_IN_A_ROW) return undefined;
    const least = this.#held.reduce((a, b) => (b.factor < a.factor ? b : a));
    this.#held = [];
    return least;
  }

  /** The device was as fast as was believed, or faster; or a request ran there, which tells more. */
  clear(): void {
    this.#held = [];
  }
}

/** What a side learns from the `runs` of a look; nothing yet where they were slower than it is believed to be. */
export function believedOf(
  slower: SlowerLooks<readonly Run[]>,
  side: PacedSide,
  runs: readonly Run[],
): readonly Run[] | undefined {
  const tookMs = runs.reduce((sum, { ms, runs: times }) => sum + ms * times, 0);
  const factor = tookMs / expectedMs(side.learned.side, runs);
  if (factor >= LOOK_NOISE) return slower.take(factor, runs)?.found;
  slower.clear();
  return runs;
}
