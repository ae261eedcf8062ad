/**
 * Guesses of a loop that runs in one place. A pass over a few rows costs little more than over one, because both read
 * all weights; rows that turn out as guessed are tokens made (Leviathan et al. 2023; Saxena 2023).
 */
import { Proposer, type Trip, type WantedDrafts } from '../core/draft/proposer.ts';
import { isReplacedByStep } from '../package/guesses.ts';
import type { LoopStage } from '../package/manifest.ts';
import { UNSEEN } from './lane-text.ts';

/** Passes of fewer rows say little of what each row takes. */
const TELLING_ROWS = 8;

/** What a row more costs, of a step, before passes of many rows were seen: measured 2 to 6 times less on CPUs. */
const USUAL_ROW_SHARE = 1 / 3;

/** Weight of the newest step, and of the newest pass of many rows. */
const RATE = 0.2;

export class LoopDrafts {
  readonly #canRewind: boolean;
  readonly #proposer = new Proposer({ expectedMs: (rows) => this.#expectedMs(rows) });
  #isBegun = false;
  #stepMs: number | undefined;
  #rowMs: number | undefined;

  constructor(stage: LoopStage) {
    this.#canRewind = !stage.states.some(isReplacedByStep);
  }

  /** @param isNew no token of the answer was made before; else what is known of the latest one is gone on with */
  begin(wanted: WantedDrafts, isNew: boolean): void {
    if (this.#isBegun && !isNew && wanted === this.#proposer.wanted) return;
    this.#isBegun = true;
    this.#proposer.begin(wanted);
  }

  /**
   * Tokens that may follow the text, at most `most`. None before a step alone was seen here: what a row more
   * costs is told by what one costs.
   */
  propose(text: readonly number[], most: number): readonly number[] {
    if (!this.#canRewind || most < 1) return [];
    if (this.#proposer.wanted === 'auto' && this.#stepMs === undefined) return [];
    const proposal = this.#proposer.propose(text, most);
    const hole = proposal.indexOf(UNSEEN);
    return hole < 0 ? proposal : proposal.slice(0, hole);
  }

  /** A pass over rows that had to be run anyway, the first of them not counted as a guess. */
  learnRows(rows: number, ms: number): void {
    if (rows >= TELLING_ROWS) this.#rowMs = mixed(this.#rowMs, ms / rows);
  }

  /** A pass over the latest token and the guesses behind it. */
  learn(trip: Trip): void {
    if (trip.drafted === 0) this.#stepMs = mixed(this.#stepMs, trip.ms);
    this.#proposer.learn(trip);
  }

  #expectedMs(rows: number): number {
    const step = this.#stepMs ?? 0;
    return step + (rows - 1) * (this.#rowMs ?? step * USUAL_ROW_SHARE);
  }
}

function mixed(known: number | undefined, seen: number): number {
  return known === undefined ? seen : known + RATE * (seen - known);
}
