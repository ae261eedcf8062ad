/**
 * A short look at how fast a device runs text: which calls to make, and what their times say. Pure; who makes the
 * calls answers each with the ms that it took.
 */
import type { Span } from '../../core/span.ts';
import { CONFIRMING_RUNS } from '../../device/first-costs.ts';
import { LookJudge } from '../../device/look-judge.ts';
import type { Pace } from './pace.ts';

/** The first block is an embedding more often than not, and says little of the others. */
export const LOOK_BLOCKS = 3;

/** Of a model that is built as a whole, such a part is looked at where rows are: they take many times what a step does. */
const LOOK_SHARE = 1 / 3;

/** What a look is to tell: with how many blocks, and whether of rows as well as of steps. */
export interface LookSize {
  readonly blocks: number;
  readonly hasRows: boolean;
}

/**
 * The more blocks, the less of a look is noise. Steps of the whole model are what answers are made of; what rows take is
 * looked at until answers have told.
 */
export function sizeOfLook(all: number, isBuilt: boolean, hasAnswered: boolean): LookSize {
  if (!isBuilt) return { blocks: Math.min(all, LOOK_BLOCKS), hasRows: true };
  if (hasAnswered) return { blocks: all, hasRows: false };
  return { blocks: Math.min(all, Math.max(LOOK_BLOCKS, Math.ceil(all * LOOK_SHARE))), hasRows: true };
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

/** Runs of the first block alone, a millisecond each. */
const FRONT_RUNS = 4;

export interface LookCall {
  readonly span: Span;
  readonly position: number;
  readonly rows: number;
}

export interface Look {
  readonly span: Span;
  /** Ms of a call with a single row, and of one with so many, where it was made. */
  readonly stepMs: number;
  readonly many?: { readonly rows: number; readonly ms: number };
}

/** @param isFrontApart whether the first block can run alone, without being built once more for it */
export function* lookAtDevice(
  { blocks, hasRows }: LookSize,
  isFrontApart: boolean,
): Generator<LookCall, Look, number> {
  const span = { from: 0, to: blocks };
  const front = { from: 0, to: 1 };
  let spentMs = 0;
  const least = function* (
    of: Span,
    rows: number,
    isEnough: (runs: number, isGain: boolean) => boolean,
  ): Generator<LookCall, number, number> {
    let leastMs = Infinity;
    for (let run = 1; ; run += 1) {
      const ms = yield { span: of, position: 0, rows };
      spentMs += ms;
      const isGain = ms < GAIN * leastMs;
      leastMs = Math.min(leastMs, ms);
      if (isEnough(run, isGain)) return leastMs;
    }
  };
  const isSpent = (): boolean => spentMs > BUDGET_MS;
  const settle = (rows: number, atLeast = 2) =>
    least(span, rows, (runs, isGain) => runs === MAX_RUNS || !isGain || (isSpent() && runs >= atLeast));
  // What noise adds to this would be taken from the blocks behind: two of them are little more than a call itself.
  const quickest = (rows: number) => least(front, rows, (runs) => runs === FRONT_RUNS || isSpent());
  if (!hasRows) return { span, stepMs: yield* settle(1, 1) };
  const rowsMs = yield* settle(MANY_ROWS);
  const all: Look = { span, many: { rows: MANY_ROWS, ms: rowsMs }, stepMs: yield* settle(1) };
  if (!isFrontApart || span.to === 1) return all;
  // Else what a call takes beside its work would be counted again for every few blocks of the model.
  const ms = rowsMs - (yield* quickest(MANY_ROWS));
  const stepMs = all.stepMs - (yield* quickest(1));
  return ms > 0 && stepMs > 0
    ? { span: { from: 1, to: span.to }, many: { rows: MANY_ROWS, ms }, stepMs }
    : all;
}

/** What looks change of a pace. Answers tell more than a look at a few blocks does; a look tells what changed since. */
export class DeviceBelief {
  readonly #pace: Pace;
  readonly #judge = new LookJudge();
  /** Calls that the pace had learned from at the latest look; looks are none of them, but the first. */
  #seen = 0;
  #hasAnswered = false;
  /** Of the latest look. */
  #blocks: Span = { from: 0, to: 0 };
  /** Looks that found what was believed, since the first. */
  #confirmed = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** Whether texts ran here, behind the first look or before it. */
  get hasAnswered(): boolean {
    return this.#hasAnswered || this.#isNewer;
  }

  /**
   * What was measured while the session opened is an upper bound (`device/first-costs`), until later looks agree with
   * it, or texts ran here.
   */
  get isDoubted(): boolean {
    return this.#seen > 0 && !this.hasAnswered && this.#confirmed < CONFIRMING_RUNS;
  }

  /** @returns whether anything is believed otherwise now */
  take(look: Look): boolean {
    const pace = this.#pace;
    const { span, stepMs, many } = look;
    // Of two blocks a look is half noise, and is taken while weights pour in: one at more of them says it anew.
    if (!pace.isMeasured || (!this.hasAnswered && span.to > this.#blocks.to)) {
      pace.restart();
      pace.learn(span, 1, stepMs);
      if (many !== undefined) pace.learn(span, many.rows, many.ms);
      this.#seen = pace.seen;
      this.#confirmed = 0;
      this.#lookAt(span);
      return true;
    }
    if (this.#isNewer) {
      this.#seen = pace.seen;
      this.#hasAnswered = true;
      this.#judge.noteRequests();
    }
    this.#lookAt(span);
    const { factor, isSame } = this.#judge.take({ ms: stepMs, expectedMs: () => pace.ms(span, 1) });
    if (isSame) this.#confirmed += 1;
    if (factor !== undefined) pace.scale(factor, this.#rowsFactor(look, factor));
    return factor !== undefined;
  }

  get #isNewer(): boolean {
    return this.#pace.seen !== this.#seen;
  }

  #lookAt(span: Span): void {
    if (span.from !== this.#blocks.from || span.to !== this.#blocks.to) this.#judge.forget();
    this.#blocks = span;
  }

  /** Rows may have been measured beside other work than steps. */
  #rowsFactor({ span, many, stepMs }: Look, factor: number): number {
    if (many === undefined || this.#hasAnswered) return factor;
    const believed = this.#pace.ms(span, many.rows) - this.#pace.ms(span, 1);
    return believed > 0 ? Math.min(factor, Math.max(0, many.ms - stepMs) / believed) : factor;
  }
}
