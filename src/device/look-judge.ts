/**
 * Looks at a device that no request runs on, and what of them is believed. Pure but for its own numbers.
 *
 * A look is smaller than a request, so that what it says is a share of what requests take: it is learned from looks
 * before and behind them. What runs beside a look makes it slower (the endpoint on the same machine, another tab for a
 * moment), and nothing makes it faster than the device is. So a faster one is believed at once, a slower one when so many
 * in a row were, by the least of them: whoever runs elsewhere loses nothing by that, and who believes one such look stays
 * elsewhere for no reason.
 */

/** A look that differs by less is noise. */
const NOISE = 1.1;

/**
 * Behind requests: those stood on other inputs, and perhaps beside other work. By more than these the device has changed
 * since; the first look behind them does not know yet by how much a look and a request differ anyway.
 */
const CHANGE = 1.3;
const FIRST_CHANGE = 1.5;

/** A coarse clock can show any time as next to nothing; a device that changed by more shows it in the next look. */
const MAX_CHANGE = 8;

/** In a row, before a slower device is believed. */
export const SLOWER_IN_A_ROW = 3;

/** Looks against requests, as they have been: the one in the middle counts. */
const MOST_RATIOS = 5;

export interface Look {
  readonly ms: number;
  /** Ms that it should have taken, by what is believed when this is called. */
  readonly expectedMs: () => number;
}

export class LookJudge {
  /** What looks said as shares of what requests took. */
  #ratios: number[] = [];
  /** The latest look that was believed to be faster: requests behind it show what it was worth. */
  #trusted: Look | undefined;
  /** By how much the latest looks in a row were slower. */
  #slower: number[] = [];
  #isBehindRequests = false;

  /** Requests ran on the device, and what is believed of it has learned from them. */
  noteRequests(): void {
    this.#isBehindRequests = true;
    this.#slower = [];
    const before = this.#trusted;
    this.#trusted = undefined;
    if (before !== undefined) this.#remember(before.ms / before.expectedMs());
  }

  /** Looks are made of something else from now on, and say another share. */
  forget(): void {
    this.#ratios = [];
    this.#slower = [];
    this.#trusted = undefined;
  }

  /** By what all that is believed of the device is to be multiplied; `undefined` where it is borne out, or stays for now. */
  take(look: Look): { readonly factor?: number; readonly isSame: boolean } {
    const ratio = look.ms / look.expectedMs();
    if (!isTelling(ratio)) return { isSame: false };
    const isBehind = this.#isBehindRequests;
    this.#isBehindRequests = false;
    const noise = !isBehind ? NOISE : this.#ratios.length === 0 ? FIRST_CHANGE : CHANGE;
    const factor = Math.min(MAX_CHANGE, Math.max(1 / MAX_CHANGE, ratio / middleOf(this.#ratios)));
    if (factor <= 1 / noise) {
      this.#trusted = look;
      this.#slower = [];
      return { factor, isSame: false };
    }
    if (factor >= noise) {
      this.#slower.push(factor);
      if (this.#slower.length < SLOWER_IN_A_ROW) return { isSame: false };
      const least = Math.min(...this.#slower);
      this.#slower = [];
      return { factor: least, isSame: false };
    }
    this.#slower = [];
    if (isBehind) this.#remember(ratio);
    return { isSame: true };
  }

  #remember(ratio: number): void {
    if (!isTelling(ratio)) return;
    this.#ratios.push(ratio);
    if (this.#ratios.length > MOST_RATIOS) this.#ratios.shift();
  }
}

/** Not so where a clock stood still, or there was nothing to compare with. */
function isTelling(ratio: number): boolean {
  return ratio > 0 && ratio < Infinity;
}

/** A look says what a request does, until it is known better. */
function middleOf(ratios: readonly number[]): number {
  return [...ratios].sort((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? 1;
}
