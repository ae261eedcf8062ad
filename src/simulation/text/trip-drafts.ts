/**
 * Drafts of a cut's trips and of each place's own passes, with the session's own draft lengths: the text's past proposes something as often as the
 * world says, evenly spread, and each proposal is right with the world's chance.
 */
import type { Drafter } from '../../core/draft/drafter.ts';
import { Proposer, type Trip } from '../../core/draft/proposer.ts';
import { GuessBook, type GuessedTrip } from '../../session/text/guess-book.ts';
import { expectedTripMs, type TripExpectation } from '../../session/text/proposals.ts';
import type { PlaceName } from '../../session/text/route.ts';
import type { Random } from '../random.ts';
import { Evenly } from './evenly.ts';
import type { TextMoment } from './text-world.ts';

const TOKEN = 1;

/** Who guesses: the session for a cut's trips, else a place by itself. */
export type Guesser = 'trip' | PlaceName;

export class TripDrafts {
  readonly #random: Random;
  readonly #proposers: Readonly<Record<Guesser, Proposer>>;
  readonly #guesses: GuessBook;
  /** The answer so far, all of one token: guesses of that one are right. */
  #text: number[] = [];
  #moment: TextMoment | undefined;
  #made = new Evenly();
  #guessed = new Evenly();
  #isProposed = false;

  constructor(expected: TripExpectation, random: Random) {
    this.#random = random;
    this.#guesses = new GuessBook({ propose: (_, most) => this.#guess(most) });
    const drafter: Drafter = { propose: (_, most) => (this.#isProposed ? Array(most).fill(0) : []) };
    const all = { from: 0, to: expected.blocks };
    const alone = (place: PlaceName): Proposer =>
      new Proposer({ expectedMs: (rows) => expected.paces[place].ms(all, rows), drafter });
    this.#proposers = {
      trip: new Proposer({ expectedMs: (rows) => expectedTripMs(expected, rows), drafter }),
      device: alone('device'),
      endpoint: alone('endpoint'),
    };
  }

  /** An answer begins. */
  begin(): void {
    for (const proposer of Object.values(this.#proposers)) proposer.begin('auto');
    this.#guesses.begin(0);
    this.#text = [];
    this.#made = new Evenly();
    this.#guessed = new Evenly();
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

  /** Drafts of the next trip or pass, of an answer that lacks `left` tokens. */
  propose(guesser: Guesser, { hits }: TextMoment, left: number): number {
    this.#isProposed = this.#made.next(hits);
    return this.#proposers[guesser].propose([], Math.max(0, left - 1)).length;
  }

  /** How many of a trip's drafts are found right. */
  accept({ acceptance }: TextMoment, drafts: number): number {
    let accepted = 0;
    while (accepted < drafts && this.#random.next() < acceptance) accepted += 1;
    return accepted;
  }

  learn(guesser: Guesser, trip: Trip): void {
    this.#proposers[guesser].learn(trip);
  }

  /** What the text's past proposes for a trip that nobody made. */
  #guess(most: number): readonly number[] {
    if (this.#moment === undefined || !this.#guessed.next(this.#moment.hits)) return [];
    const right = this.accept(this.#moment, most);
    return [...Array(right).fill(TOKEN), ...Array(most - right).fill(TOKEN + 1)];
  }
}
