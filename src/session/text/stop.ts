/** Ends a text before the first of some stop texts, however they are split over the pieces that come in. */
import { IsthmusError } from '../../errors.ts';

/** More than any API in use takes; each is searched for in every piece. */
export const MAX_STOPS = 64;

/** UTF-16 units. That much text may be held back from the reader. */
export const MAX_STOP_LENGTH = 1_024;

export interface StopStep {
  /** Text that is safe to show: no stop begins in it. */
  readonly text: string;
  /** The stop that the text has come to. Nothing may be pushed after it. */
  readonly stop?: string;
}

/**
 * The text ends before the stop that is complete first; of two that are complete with the same character, the
 * longer one counts.
 */
export class StopMatcher {
  readonly #stops: readonly string[];
  /** Came in and was not shown yet: the beginning of a stop, perhaps. */
  #held = '';

  /** Throws `bad-option` for an empty stop, and for more or longer ones than the bounds. */
  constructor(stops: readonly string[]) {
    if (stops.length > MAX_STOPS) throw bad(`there are more than ${MAX_STOPS}`);
    for (const stop of stops) {
      if (stop === '') throw bad('one is empty');
      if (stop.length > MAX_STOP_LENGTH) throw bad(`one is longer than ${MAX_STOP_LENGTH} characters`);
    }
    this.#stops = stops;
  }

  /** Whether there is a text that could end anything. */
  get hasAny(): boolean {
    return this.#stops.length > 0;
  }

  push(piece: string): StopStep {
    const text = this.#held + piece;
    const hit = this.#firstComplete(text);
    if (hit !== undefined) {
      this.#held = '';
      return { text: text.slice(0, hit.from), stop: hit.stop };
    }
    const safe = text.length - this.#unfinished(text);
    this.#held = text.slice(safe);
    return { text: text.slice(0, safe) };
  }

  /** The text is over without a stop: what was held back. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  #firstComplete(text: string): { readonly from: number; readonly stop: string } | undefined {
    let best: { from: number; to: number; stop: string } | undefined;
    for (const stop of this.#stops) {
      const from = text.indexOf(stop);
      const to = from + stop.length;
      if (from < 0) continue;
      if (best === undefined || to < best.to || (to === best.to && from < best.from)) {
        best = { from, to, stop };
      }
    }
    return best;
  }

  /** Length of the longest end of `text` that a stop begins with. */
  #unfinished(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}

function bad(what: string): IsthmusError {
  return new IsthmusError('bad-option', `the stop texts cannot be used: ${what}`, {
    details: { option: 'stop' },
  });
}
