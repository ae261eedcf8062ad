/**
 * Drafts from the text itself: what followed when the last few tokens stood there before (Saxena 2023, "Prompt
 * lookup decoding"). The index is that of LZ77 matchers: for each run of `shortest` tokens a chain of the
 * places where it ended, latest first.
 */
import type { Drafter } from './drafter.ts';

/** A single token has too many places where it stood before. */
const SHORTEST = 2;

/** Longer agreement says no more about what follows. */
const LONGEST = 12;

/** Places looked at for one proposal; a run that is more common than that is no guide anyway. */
const MAX_PLACES = 256;

const NOWHERE = -1;

export interface LookupOptions {
  /** Tokens at the end of the text that must agree, at least 1. */
  readonly shortest?: number;
  /** Tokens of agreement beyond which the latest place wins. */
  readonly longest?: number;
}

export class LookupDrafter implements Drafter {
  readonly #shortest: number;
  readonly #longest: number;
  /** What the index was made of. */
  readonly #text: number[] = [];
  /** Latest end (exclusive) of each run, by its hash. */
  readonly #latest = new Map<number, number>();
  /** By end: the end before it of a run with the same hash. */
  readonly #earlier: number[] = [];

  constructor({ shortest = SHORTEST, longest = LONGEST }: LookupOptions = {}) {
    this.#shortest = shortest;
    this.#longest = Math.max(shortest, longest);
  }

  propose(tokens: readonly number[], most: number): readonly number[] {
    this.#follow(tokens);
    if (most < 1) return [];
    const from = this.#bestPlace();
    if (from === NOWHERE) return [];
    const proposal: number[] = [];
    for (let at = from; proposal.length < most; at += 1) {
      // Past the end of the text the guess goes on in itself: a text that repeats is found so.
      const token = at < tokens.length ? tokens[at] : proposal[at - tokens.length];
      if (token === undefined) break;
      proposal.push(token);
    }
    return proposal;
  }

  /** Where the longest agreement with the text's end ends; the latest such place. */
  #bestPlace(): number {
    const end = this.#text.length;
    if (end < this.#shortest) return NOWHERE;
    let best = NOWHERE;
    let bestLength = this.#shortest - 1;
    let place = this.#earlier[end] ?? NOWHERE;
    for (let looked = 0; place !== NOWHERE && looked < MAX_PLACES; looked += 1) {
      const length = this.#agreement(place);
      if (length > bestLength) {
        best = place;
        bestLength = length;
        if (length >= this.#longest) break;
      }
      place = this.#earlier[place] ?? NOWHERE;
    }
    return best;
  }

  /** Tokens before `place` that equal those before the text's end; at most `longest`. */
  #agreement(place: number): number {
    const end = this.#text.length;
    let length = 0;
    while (
      length < this.#longest &&
      length < place &&
      this.#text[place - 1 - length] === this.#text[end - 1 - length]
    ) {
      length += 1;
    }
    return length;
  }

  /** Brings the index to `tokens`: forgets what they do not begin with, adds what is new. */
  #follow(tokens: readonly number[]): void {
    let common = 0;
    while (common < this.#text.length && this.#text[common] === tokens[common]) common += 1;
    while (this.#text.length > common) this.#drop();
    for (let at = common; at < tokens.length; at += 1) this.#add(tokens[at] ?? 0);
  }

  #add(token: number): void {
    this.#text.push(token);
    const end = this.#text.length;
    if (end < this.#shortest) return;
    const hash = this.#hash(end);
    this.#earlier[end] = this.#latest.get(hash) ?? NOWHERE;
    this.#latest.set(hash, end);
  }

  #drop(): void {
    const end = this.#text.length;
    if (end >= this.#shortest) {
      const hash = this.#hash(end);
      const earlier = this.#earlier[end] ?? NOWHERE;
      if (earlier === NOWHERE) this.#latest.delete(hash);
      else this.#latest.set(hash, earlier);
      this.#earlier.length = end;
    }
    this.#text.pop();
  }

  /** Of the run that ends at `end`. Runs that share one by chance are told apart by `#agreement`. */
  #hash(end: number): number {
    let hash = 0;
    for (let at = end - this.#shortest; at < end; at += 1) {
      hash = (Math.imul(hash, 0x01000193) ^ (this.#text[at] ?? 0)) >>> 0;
    }
    return hash;
  }
}
