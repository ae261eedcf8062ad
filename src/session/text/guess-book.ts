/**
 * What guesses from the text itself would have brought to a trip or pass, by how many are made at once: told by every answer,
 * wherever it was made. A route is worth what its passes bring, and whoever had to take it to find out would never learn it of
 * texts that run elsewhere. Pure but for its own numbers.
 */

import { MAX_DRAFTS } from '../../core/draft/draft-length.ts';
import type { Drafter } from '../../core/draft/drafter.ts';

/** A trip or pass with so many guesses asked for, on the mean. */
export interface GuessedTrip {
  readonly drafts: number;
  /** Guesses that there were, right or wrong: each is a row more. */
  readonly rows: number;
  /** Tokens that it brings, at least 1. */
  readonly tokens: number;
  /** What a cut is counted on to bring of them. */
  readonly sureTokens: number;
}

export const NO_GUESSES: GuessedTrip = { drafts: 0, rows: 0, tokens: 1, sureTokens: 1 };

/** Numbers between these differ by less than answers do. */
const LENGTHS = [1, 2, 3, 4, 6, 8, 12, 16, 24, MAX_DRAFTS];

/** What a trip weighs after another one of the same answer: about the last 50 count. */
const KEEP = 0.98;

/**
 * What earlier answers say when one begins counts like so many trips of its own. Some are easy to guess and others are not, and
 * the one that begins soon tells by itself, wherever it is made: so the poorer of the latest are taken.
 */
const CARRIED_TRIPS = 12;
const MOST_ANSWERS = 5;
const POORER = 1 / 4;

/**
 * Of what guesses would have won, the part that a cut is counted on to win: what they cost there is known only where few rows
 * crossed at once, and a cut is taken where the hope for it is too high more often than where it is too low. Places guess all
 * the time, and alike: of two of them neither is to look slower than it is by what it wins.
 */
const TRUSTED = 0.6;

/** Answers of fewer trips tell nothing. */
const TELLING_TRIPS = 8;

export class GuessBook {
  readonly #drafter: Drafter;
  readonly #walks = LENGTHS.map((drafts) => new Walk(drafts));
  /** Of the text that the latest answer goes on in, how much was followed. */
  #at = 0;

  /** @param drafter one that nobody else asks: it follows this book's text */
  constructor(drafter: Drafter) {
    this.#drafter = drafter;
  }

  /** An answer begins behind so many tokens. */
  begin(promptTokens: number): void {
    this.#at = promptTokens;
    for (const walk of this.#walks) walk.begin();
  }

  /** @param text prompt and answer so far; only grows until the next `begin` */
  follow(text: readonly number[]): void {
    for (; this.#at < text.length; this.#at += 1) {
      const token = text[this.#at] ?? 0;
      const over = this.#walks.filter((walk) => walk.take(token));
      if (over.length === 0) continue;
      // A shorter proposal is how a longer one begins.
      const proposal = this.#drafter.propose(text.slice(0, this.#at + 1), MAX_DRAFTS);
      for (const walk of over) walk.leave(proposal);
    }
  }

  /** Without guesses first, then by how many are asked for; of a fixed number, that one alone. */
  trips(wanted: 'auto' | number = 'auto'): readonly GuessedTrip[] {
    const all = [NO_GUESSES, ...this.#walks.map((walk) => walk.mean())];
    return wanted === 'auto' ? all : all.filter(({ drafts }) => drafts <= wanted).slice(-1);
  }
}

/** Sums over trips that ended. */
interface Sums {
  readonly trips: number;
  readonly tokens: number;
  readonly rows: number;
}

const NO_TRIPS: Sums = { trips: 0, tokens: 0, rows: 0 };
const WITHOUT: Sums = { trips: 1, tokens: 1, rows: 0 };

/** Answers as trips would have brought them that ask for so many guesses each. */
class Walk {
  readonly #drafts: number;
  /** Of the trip under way; absent before an answer's first token, which no trip brings. */
  #proposal: readonly number[] | undefined;
  #right = 0;
  /** Of the latest answers, and of the one under way. */
  #before: readonly Sums[] = [];
  #own = NO_TRIPS;

  constructor(drafts: number) {
    this.#drafts = drafts;
  }

  begin(): void {
    this.#proposal = undefined;
    if (this.#own.trips >= TELLING_TRIPS) this.#before = [...this.#before, this.#own].slice(-MOST_ANSWERS);
    this.#own = NO_TRIPS;
  }

  /** Takes the next token; true where the trip under way ends with it, which brings one more than its right guesses. */
  take(token: number): boolean {
    if (this.#proposal === undefined) return true;
    const isGuessed = this.#right < this.#proposal.length && this.#proposal[this.#right] === token;
    if (!isGuessed) {
      const { trips, tokens, rows } = this.#own;
      this.#own = {
        trips: trips * KEEP + 1,
        tokens: tokens * KEEP + this.#right + 1,
        rows: rows * KEEP + this.#proposal.length,
      };
      return true;
    }
    this.#right += 1;
    return false;
  }

  leave(proposal: readonly number[]): void {
    this.#proposal = proposal.slice(0, this.#drafts);
    this.#right = 0;
  }

  mean(): GuessedTrip {
    const poorer = [...this.#before].sort((a, b) => a.tokens / a.trips - b.tokens / b.trips);
    const carried = poorer[Math.floor(poorer.length * POORER)] ?? WITHOUT;
    const weight = CARRIED_TRIPS / carried.trips;
    const trips = CARRIED_TRIPS + this.#own.trips;
    const tokens = (weight * carried.tokens + this.#own.tokens) / trips;
    return {
      drafts: this.#drafts,
      rows: (weight * carried.rows + this.#own.rows) / trips,
      tokens,
      sureTokens: 1 + TRUSTED * (tokens - 1),
    };
  }
}
