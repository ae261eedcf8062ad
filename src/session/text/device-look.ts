/**
 * A short look at how fast a device runs text: which calls to make, and what their times say. Pure; who makes the
 * calls answers each with the ms that it took.
 */
import type { Span } from '../../core/span.ts';
import { CONFIRMING_RUNS } from '../../device/first-costs.ts';
import type { Pace } from './pace.ts';

/** The first block is an embedding more often than not, and says little of the others. */
export const LOOK_BLOCKS = 3;

/** Of a model that is built as a whole, such a part is looked at. */
const LOOK_SHARE = 1 / 3;

/** How many of all blocks to look at, from the first on. */
export function blocksToLookAt(all: number, isBuilt: boolean): number {
  return Math.min(all, isBuilt ? Math.max(LOOK_BLOCKS, Math.ceil(all * LOOK_SHARE)) : LOOK_BLOCKS);
}

/** Enough rows to see what rows have in common. */
const MANY_ROWS = 16;

/**
 * Browsers compile WASM quickly first and well later, so each size is run until a run brings no gain, and the least
 * counts; a device that only ever gets better is not waited for.
 */
const GAIN = 0.95;
const MAX_RUNS = 6;
const BUDGET_MS = 250;

/** A look that differs by less is noise. */
const NOISE = 1.1;

/** Behind answers of this device's own: by more than the first blocks and the others are unlike, it has changed since. */
const CHANGE = 2;

export interface LookCall {
  readonly span: Span;
  readonly position: number;
  readonly rows: number;
}

export interface Look {
  readonly span: Span;
  readonly rows: number;
  /** Ms of a call with so many rows, and of one with a single row. */
  readonly rowsMs: number;
  readonly stepMs: number;
}

/**
 * @param blocks from the first on, as many as are to be run; the more, the less of it is noise
 * @param isFrontApart whether the first block can run alone, without being built once more for it
 */
export function* lookAtDevice(blocks: number, isFrontApart: boolean): Generator<LookCall, Look, number> {
  const span = { from: 0, to: blocks };
  let spentMs = 0;
  const settle = function* (rows: number): Generator<LookCall, number, number> {
    let least = Infinity;
    for (let run = 0; run < MAX_RUNS; run += 1) {
      const ms = yield { span, position: 0, rows };
      spentMs += ms;
      const isGain = ms < GAIN * least;
      least = Math.min(least, ms);
      if (!isGain || (spentMs > BUDGET_MS && run > 0)) break;
    }
    return least;
  };
  const all = { span, rows: MANY_ROWS, rowsMs: yield* settle(MANY_ROWS), stepMs: yield* settle(1) };
  if (!isFrontApart || span.to === 1) return all;
  // Else what a call takes beside its work would be counted again for every few blocks of the model.
  const front = { span: { from: 0, to: 1 }, position: 0 };
  const rowsMs = all.rowsMs - (yield { ...front, rows: MANY_ROWS });
  const stepMs = all.stepMs - (yield { ...front, rows: 1 });
  return rowsMs > 0 && stepMs > 0 ? { ...all, span: { from: 1, to: span.to }, rowsMs, stepMs } : all;
}

/** What looks change of a pace. Answers tell more than a look at a few blocks does; a look tells what changed since. */
export class DeviceBelief {
  readonly #pace: Pace;
  /** Calls that the pace had learned from, and what a look said as a share of it, when both were last known to agree. */
  #seen = 0;
  #usual: number | undefined;
  /** Looks that found what was believed, since the first. */
  #confirmed = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /**
   * What was measured while the session opened is an upper bound (`device/first-costs`), until later looks agree with
   * it, or texts ran here.
   */
  get isDoubted(): boolean {
    return this.#usual !== undefined && this.#pace.seen === this.#seen && this.#confirmed < CONFIRMING_RUNS;
  }

  take({ span, rows, rowsMs, stepMs }: Look): void {
    const pace = this.#pace;
    if (!pace.isMeasured) {
      pace.learn(span, rows, rowsMs);
      pace.learn(span, 1, stepMs);
    }
    const ratio = stepMs / pace.ms(span, 1);
    if (this.#usual !== undefined) {
      const factor = ratio / this.#usual;
      const noise = pace.seen === this.#seen ? NOISE : CHANGE;
      if (factor >= noise || factor <= 1 / noise) {
        pace.scale(factor);
        return;
      }
      this.#confirmed += 1;
      if (pace.seen === this.#seen) return;
    }
    this.#seen = pace.seen;
    this.#usual = ratio;
  }
}
