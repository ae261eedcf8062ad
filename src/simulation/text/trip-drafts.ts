/**
 * Drafts of a cut's trips, with the session's own draft lengths: the text's past proposes something as often as the
 * world says, evenly spread, and each proposal is right with the world's chance.
 */
import type { Trip } from '../../session/text/decode-route.ts';
import { GuessBook, type GuessedTrip } from '../../session/text/guess-book.ts';
import { Proposer, type ProposerOptions } from '../../session/text/proposals.ts';
import type { Random } from '../random.ts';
import type { TextMoment } from './text-world.ts';

const TOKEN = 1;

export class TripDrafts {
  readonly #random: Random;
  readonly #proposer: Proposer;
  readonly #guesses: GuessBook;
  /** The answer so far, all of one token: guesses of that one are right. */
  #text: number[] = [];
  #moment: TextMoment | undefined;
  #hit = 0;
  #guessedHit = 0;
  #isProposed = false;

  constructor(options: Omit<ProposerOptions, 'drafter'>, random: Random) {
    this.#random = random;
    this.#guesses = new GuessBook({ propose: (_, most) => this.#guess(most) });
    this.#proposer = new Proposer({
      ...options,
      drafter: {
        propose: (_, most) => (this.#isProposed ? Array(most).fill(0) : []),
      },
    });
  }

  /** An answer begins. */
  begin(): void {
    this.#proposer.begin('auto');
    this.#guesses.begin(0);
    this.#text = [];
    this.#hit = 0;
    this.#guessedHit = 0;
  }

  /** So many tokens of the answer are here. */
  follow(moment: TextMoment, tokens: number): void {
    this.#moment = moment;
    while (this.#text.length < tokens) this.#text.push(TOKEN);
    this.#guesses.follow(this.#text);
  }

  trips(): readonly GuessedTrip[] {
    return this.#guesses.trips();
  }

  /** Drafts of the next trip, of an answer that lacks `left` tokens. */
  propose({ hits }: TextMoment, left: number): number {
    this.#hit += hits;
    this.#isProposed = this.#hit >= 1;
    if (this.#isProposed) this.#hit -= 1;
    return this.#proposer.propose([], Math.max(0, left - 1)).length;
  }

  /** How many of a trip's drafts are found right. */
  accept({ acceptance }: TextMoment, drafts: number): number {
    let accepted = 0;
    while (accepted < drafts && this.#random.next() < acceptance) accepted += 1;
    return accepted;
  }

  learn(trip: Trip): void {
    this.#proposer.learn(trip);
  }

  /** What the text's past proposes for a trip that nobody made. */
  #guess(most: number): readonly number[] {
    if (this.#moment === undefined) return [];
    this.#guessedHit += this.#moment.hits;
    if (this.#guessedHit < 1) return [];
    this.#guessedHit -= 1;
    const right = this.accept(this.#moment, most);
    return [...Array(right).fill(TOKEN), ...Array(most - right).fill(TOKEN + 1)];
  }
}
