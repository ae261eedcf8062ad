/** What a session's answers guess ahead, and what became of it: on trips of a cut, and in a place's own loop. */

import { Proposer, type Trip, type WantedDrafts } from '../../core/draft/proposer.ts';
import type { Proposals } from './decode-route.ts';
import type { Pace } from './pace.ts';
import type { PlaceName } from './route.ts';

export interface TripExpectation {
  readonly rttMs: () => number;
  readonly paces: { readonly [place in PlaceName]: Pace };
  readonly blocks: number;
}

/** Half here and half there, before it is known. */
export function expectedTripMs({ rttMs, paces, blocks }: TripExpectation, rows: number): number {
  const half = { from: 0, to: Math.max(1, Math.floor(blocks / 2)) };
  return rttMs() + paces.device.ms(half, rows) + paces.endpoint.ms(half, rows);
}

interface Counts {
  readonly drafted: number;
  readonly accepted: number;
}

export class TextProposals implements Proposals {
  readonly #proposer: Proposer;
  #counts: Counts = { drafted: 0, accepted: 0 };

  constructor(expected: TripExpectation) {
    this.#proposer = new Proposer({ expectedMs: (rows) => expectedTripMs(expected, rows) });
  }

  get wanted(): WantedDrafts {
    return this.#proposer.wanted;
  }

  /** A new answer, whose text may be easier or harder to guess than the last. */
  begin(wanted: WantedDrafts): void {
    this.#proposer.begin(wanted);
    this.#counts = { drafted: 0, accepted: 0 };
  }

  propose(tokens: readonly number[], most: number): readonly number[] {
    return this.#proposer.propose(tokens, most);
  }

  learn(trip: Trip): void {
    this.#proposer.learn(trip);
    this.note(trip);
  }

  note({ drafted, accepted }: Counts): void {
    this.#counts = {
      drafted: this.#counts.drafted + drafted,
      accepted: this.#counts.accepted + accepted,
    };
  }

  counts(): Counts {
    return this.#counts;
  }
}
