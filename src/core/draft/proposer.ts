/** What is proposed ahead of a trip: guesses from the text itself, as many as are expected to pay. */

import type { TripCost } from './draft-cost.ts';
import { DraftLength, MAX_DRAFTS } from './draft-length.ts';
import { LookupDrafter } from './draft-lookup.ts';
import type { Drafter } from './drafter.ts';
import { TripFit } from './trip-fit.ts';

/** As many as are expected to pay, or so many wherever there are any. */
export type WantedDrafts = 'auto' | number;

export interface Trip {
  readonly drafted: number;
  readonly accepted: number;
  readonly ms: number;
}

export interface ProposerOptions {
  /** Ms of a trip with so many rows, before any was made. */
  readonly expectedMs: (rows: number) => number;
  readonly drafter?: Drafter;
}

export class Proposer {
  readonly #expectedMs: ProposerOptions['expectedMs'];
  readonly #drafter: Drafter;
  #length = new DraftLength();
  #fit: TripFit | undefined;
  #wanted: WantedDrafts = 'auto';
  readonly #cost: TripCost = (drafts) => this.#tripFit().ms(drafts + 1);

  constructor(options: ProposerOptions) {
    this.#expectedMs = options.expectedMs;
    this.#drafter = options.drafter ?? new LookupDrafter();
  }

  get wanted(): WantedDrafts {
    return this.#wanted;
  }

  /** A new answer, whose text may be easier or harder to guess than the last. */
  begin(wanted: WantedDrafts): void {
    this.#wanted = wanted;
    this.#length = new DraftLength();
    this.#fit = undefined;
  }

  /** At most `most` tokens that may follow `tokens`; empty when it does not pay. */
  propose(tokens: readonly number[], most: number): readonly number[] {
    const wanted =
      this.#wanted === 'auto' ? this.#length.next(this.#cost) : Math.min(this.#wanted, MAX_DRAFTS);
    // Asked even for none: it follows the text as it grows.
    return this.#drafter.propose(tokens, Math.max(0, Math.min(most, wanted)));
  }

  /** One trip took `ms` with `drafted` proposals, of which so many were right. */
  learn({ drafted, accepted, ms }: Trip): void {
    this.#tripFit().learn(drafted + 1, ms);
    this.#length.observe(this.#cost, drafted, accepted);
  }

  #tripFit(): TripFit {
    this.#fit ??= new TripFit(this.#expectedMs);
    return this.#fit;
  }
}
