/**
 * Drafts of a cut's trips, with the session's own draft lengths: the text's past proposes something as often as the
 * world says, evenly spread, and each proposal is right with the world's chance.
 */
import type { Trip } from '../../session/text/decode-route.ts';
import { Proposer, type ProposerOptions } from '../../session/text/proposals.ts';
import type { Random } from '../random.ts';
import type { TextMoment } from './text-world.ts';

export class TripDrafts {
  readonly #random: Random;
  readonly #proposer: Proposer;
  #hit = 0;
  #isProposed = false;

  constructor(options: Omit<ProposerOptions, 'drafter'>, random: Random) {
    this.#random = random;
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
    this.#hit = 0;
  }

  tokensPerTrip(): number {
    return this.#proposer.tokensPerTrip();
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
}
