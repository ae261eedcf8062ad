/** How fast a place runs text, learned from every call; pure but for its own numbers. */
import type { Span } from '../../core/span.ts';
import type { Manifest } from '../../package/manifest.ts';
import { LearnedMs } from './learned-ms.ts';

/**
 * Calls of so many rows, beside the few first ones, tell what a row takes; of fewer, as much less: a pass with as many guesses
 * as make it one row more than few had all that it was off by put down to that row.
 */
const TELLING_ROWS = 32;

/**
 * A call through less of the model than this takes what a call takes, and tells nothing of the rest: to look a row up is a
 * millionth of what a step reads, and a cut behind it had the device believed three thousand times too slow.
 */
const LEAST_TELLING_SHARE = 0.02;

/** Up to so many rows are what a step with guesses has: each is scored, and kernels take few rows otherwise than many. */
const FEW_ROWS = 8;

/** Before anything is measured: ms per token per 100 MB of weights, as of a slow laptop core. */
const PRIOR_MS_PER_BYTE = 50 / 100e6;

/** Rows in one call cost less each than one alone; measured 2 to 6 times on CPUs. */
const PRIOR_PREFILL_GAIN = 3;

/** Rows at work in two places at once take longer where these share something; by less than this it is noise. */
const BESIDE_NOISE = 1.15;

/** Of what a place takes alone: two that share all they have take twice as long, and waits for turns come on top. */
const MAX_BESIDE = 4;

/** A call that was faster than one step alone says no more than that rows cost next to nothing. */
const MAX_PREFILL_GAIN = 1000;

export class Pace {
  /** Of a step. */
  readonly #shareOf: Share;
  /** Of a further row of a prompt, which is not scored: it ends behind the last block with state. */
  readonly #rowShareOf: Share;
  /** Ms of one row through the whole model. */
  readonly #step: LearnedMs;
  /** Of each further row of a prompt; and of the first few, where calls with few were seen. */
  readonly #row: LearnedMs;
  readonly #fewRow: LearnedMs;
  /** What rows take beside another place's, as a multiple of what they take alone. */
  readonly #beside = new LearnedMs(1);
  #seen = 0;
  /** Ms of a step when a further row was last learned. */
  #stepMsAtRows: number;

  /** @param factor of the prior: an endpoint is expected to be faster than a phone */
  constructor(manifest: Manifest, factor = 1) {
    const bytes = readBytes(manifest);
    const all = bytes.reduce((sum, one) => sum + one, 0);
    this.#shareOf = shareBy(bytes);
    const last = lastHolding(manifest);
    this.#rowShareOf = shareBy(bytes.map((one, block) => (block <= last ? one : 0)));
    const stepMs = all * PRIOR_MS_PER_BYTE * factor;
    this.#step = new LearnedMs(stepMs);
    this.#row = new LearnedMs(stepMs / PRIOR_PREFILL_GAIN);
    this.#fewRow = new LearnedMs(this.#row.ms);
    this.#stepMsAtRows = stepMs;
  }

  /** Whether anything was measured; else all that is said is a guess. */
  get isMeasured(): boolean {
    return this.#seen > 0;
  }

  /** Calls that it has learned from. */
  get seen(): number {
    return this.#seen;
  }

  /** Ms of a call with so many rows through a span: what a step takes, and something for each further row. */
  ms(span: Span, rows: number): number {
    if (rows <= FEW_ROWS) return this.#firstMs(span, rows, true);
    return this.#firstMs(span, FEW_ROWS, false) + (rows - FEW_ROWS) * this.#row.ms * this.#rowShareOf(span);
  }

  /** Ms of a call through a span beside its rows: what they share, the reading of the weights. */
  callMs(span: Span): number {
    return Math.max(0, this.#step.ms * this.#shareOf(span) - this.#row.ms * this.#rowShareOf(span));
  }

  /** Ms of the same while another place is at work on further rows. */
  besideMs(span: Span, rows: number): number {
    return this.ms(span, rows) * (rows > FEW_ROWS ? this.#beside.ms : 1);
  }

  /**
   * @param isBeside another place was at work on further rows meanwhile: that it took longer says so much of both together, and
   *   nothing of this one alone
   */
  learn(span: Span, rows: number, ms: number, isBeside = false): void {
    const share = this.#shareOf(span);
    if (share < LEAST_TELLING_SHARE || rows < 1 || !Number.isFinite(ms) || ms < 0) return;
    if (rows === 1) this.#learnStep(ms / share);
    else if (rows <= FEW_ROWS) this.#learnFew(rows, ms / share);
    else if (!isBeside || !this.#learnBeside(span, rows, ms)) this.#learnRows(span, rows, ms);
    this.#seen += 1;
  }

  /** The next calls tell what it is, as if they were the first. */
  restart(): void {
    for (const learned of [this.#step, this.#row, this.#fewRow, this.#beside]) learned.restart();
    this.#seen = 0;
  }

  /** The whole place is taken to have become so many times as slow; each further row by another factor, if need be. */
  scale(factor: number, rowFactor = factor): void {
    this.#step.suppose(this.#step.ms * factor);
    this.#stepMsAtRows *= factor;
    for (const row of [this.#row, this.#fewRow]) row.suppose(this.#atLeast(row.ms * rowFactor));
  }

  #learnStep(seen: number): void {
    this.#step.learn(seen);
    // Until prefill is measured it is told from the steps.
    if (!this.#row.isLearned) this.#row.suppose(this.#step.ms / PRIOR_PREFILL_GAIN);
  }

  /** What a call takes beside its rows is in a step too, waiting for a turn included. */
  #learnRows(span: Span, rows: number, ms: number): void {
    this.#supposeStep(rows, ms / this.#shareOf(span));
    const share = this.#rowShareOf(span);
    if (share < LEAST_TELLING_SHARE) return;
    const few = this.#fewRow.isLearned ? FEW_ROWS : 1;
    const rowMs = this.#atLeast((ms - this.#firstMs(span, few, false)) / (rows - few) / share);
    // Steps that came since the last prompt may have shown that the place is slower or faster by now, which is true of rows too
    // where the processor is what changed, and not where turns are waited for.
    const changedMs = (this.#row.ms * this.#step.ms) / this.#stepMsAtRows;
    this.#row.learn(rowMs, Math.min(1, (rows - few) / TELLING_ROWS), changedMs);
    this.#stepMsAtRows = this.#step.ms;
  }

  /** Whether all that was seen is what being beside another makes of it. */
  #learnBeside(span: Span, rows: number, ms: number): boolean {
    if (!this.#row.isLearned) return false;
    const times = ms / this.ms(span, rows);
    this.#beside.learn(Math.min(MAX_BESIDE, Math.max(1, times)));
    return times > BESIDE_NOISE;
  }

  #learnFew(rows: number, seen: number): void {
    this.#supposeStep(rows, seen);
    if (!this.#fewRow.isLearned) this.#fewRow.suppose(this.#row.ms);
    this.#fewRow.learn(this.#atLeast((seen - this.#step.ms) / (rows - 1)));
    // Until a prompt is measured it is told from these.
    if (!this.#row.isLearned) this.#row.suppose(this.#fewRow.ms);
  }

  /** Until one was seen. */
  #supposeStep(rows: number, seen: number): void {
    if (!this.#step.isLearned) this.#step.suppose(seen / (1 + (rows - 1) / PRIOR_PREFILL_GAIN));
  }

  /** Of a row. */
  #atLeast(rowMs: number): number {
    return Math.max(this.#step.ms / MAX_PREFILL_GAIN, rowMs);
  }

  /** Of a step and the first few rows behind it: scored ones, or those of a prompt. */
  #firstMs(span: Span, rows: number, isScored: boolean): number {
    const share = this.#shareOf(span);
    const rowShare = this.#rowShareOf(span);
    const rowMs = this.#fewRow.isLearned
      ? this.#fewRow.ms * (isScored ? share : rowShare)
      : this.#row.ms * rowShare;
    return this.#step.ms * share + (rows - 1) * rowMs;
  }
}

/** What part of the whole model's a span's is. */
type Share = (span: Span) => number;

function shareBy(bytes: readonly number[]): Share {
  const all = bytes.reduce((sum, one) => sum + one, 0);
  let sum = 0;
  const before = [0, ...bytes].map((one) => {
    sum += one;
    return sum / all;
  });
  return ({ from, to }) => (before[to] ?? 1) - (before[from] ?? 0);
}

/** The last block with state; the last one of all where none is known to have any. */
function lastHolding({ blocks, stages: [stage] }: Manifest): number {
  if (stage?.kind !== 'loop' || stage.states.length === 0) return blocks.length - 1;
  return Math.max(...stage.states.map(({ block }) => block));
}

/**
 * Weights that one row reads in each block. The first block looks its row up in a table that may be an eighth of
 * the model; where it holds no state it does little else, where it does it is like the blocks behind it.
 */
function readBytes({ blocks, stages: [stage] }: Manifest): readonly number[] {
  const bytes = blocks.map(({ weightBytes }) => Math.max(1, weightBytes));
  const [first = 1] = bytes;
  if (stage?.kind !== 'loop' || stage.states.length === 0) return bytes;
  const holding = new Set(stage.states.map(({ block }) => block));
  const others = bytes.filter((_, block) => block > 0 && holding.has(block)).sort((a, b) => a - b);
  const usual = others[Math.floor(others.length / 2)] ?? first;
  const read = holding.has(0) ? Math.min(first, usual) : Math.max(1, first / Math.max(1, stage.vocabulary));
  return [read, ...bytes.slice(1)];
}
