/** What is proposed ahead of a trip: guesses from the text itself, as many as are expected to pay. */

import type { Proposals, Trip } from './decode-route.ts';
import type { Drafter } from './draft.ts';
import { DraftLength, MAX_DRAFTS } from './draft-length.ts';
import { LookupDrafter } from './draft-lookup.ts';
import type { Pace } from './pace.ts';
import type { PlaceName } from './route.ts';
import { TripFit } from './trip-fit.ts';

export interface ProposerOptions {
  readonly rttMs: () => number;
  readonly paces: { readonly [place in PlaceName]: Pace };
  readonly blocks: number;
  readonly drafter?: Drafter;
}

export class Proposer implements Proposals {
  readonly #options: ProposerOptions;
  readonly #drafter: Drafter;
  #length = new DraftLength();
  #fit: TripFit | undefined;
  #wanted: 'auto' | number = 'auto';
  #drafted = 0;
  #accepted = 0;

  constructor(options: ProposerOptions) {
    this.#options = options;
    this.#drafter = options.drafter ?? new LookupDrafter();
  }

  /** A new answer, whose text may be easier or harder to guess than the last. */
  begin(wanted: 'auto' | number): void {
    this.#wanted = wanted;
    this.#length = new DraftLength();
    this.#fit = undefined;
    this.#drafted = 0;
    this.#accepted = 0;
  }

  propose(tokens: readonly number[], most: number): readonly number[] {
    const wanted =
      this.#wanted === 'auto'
        ? this.#length.next(this.#tripFit().times())
        : Math.min(this.#wanted, MAX_DRAFTS);
    // Asked even for none: it follows the text as it grows.
    return this.#drafter.propose(tokens, Math.max(0, Math.min(most, wanted)));
  }

  learn({ drafted, accepted, ms }: Trip): void {
    this.#tripFit().learn(drafted + 1, ms);
    this.#length.observe(this.#tripFit().times(), drafted, accepted);
    this.#drafted += drafted;
    this.#accepted += accepted;
  }

  counts(): { readonly drafted: number; readonly accepted: number } {
    return { drafted: this.#drafted, accepted: this.#accepted };
  }

  #tripFit(): TripFit {
    const { rttMs, paces, blocks } = this.#options;
    // Half here and half there, before it is known.
    const half = { from: 0, to: Math.max(1, Math.floor(blocks / 2)) };
    this.#fit ??= new TripFit(
      (rows) => rttMs() + paces.device.ms(half, rows) + paces.endpoint.ms(half, rows),
    );
    return this.#fit;
  }
}
