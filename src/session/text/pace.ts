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

/** A call that was faster than one step alone says no more than that rows cost next to nothing. */
const MAX_PREFILL_GAIN = 1000;

export class Pace {
  /** Of the blocks before each, and of all at the end. */
  readonly #shareBefore: readonly number[];
  /** Ms of one row through the whole model. */
  readonly #step: LearnedMs;
  /** Of each further row of a prompt; and of the first few, where calls with few were seen. */
  readonly #row: LearnedMs;
  readonly #fewRow: LearnedMs;
  #seen = 0;
  /** Ms of a step when a further row was last learned. */
  #stepMsAtRows: number;

  /** @param factor of the prior: an endpoint is expected to be faster than a phone */
  constructor(manifest: Manifest, factor = 1) {
    const bytes = readBytes(manifest);
    const all = bytes.reduce((sum, one) => sum + one, 0);
    let before = 0;
    this.#shareBefore = [0, ...bytes].map((one) => {
      before += one;
      return before / all;
    });
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
    return this.#wholeMs(rows) * this.#shareOf(span);
  }

  /** Ms of a call through a span beside its rows: what they share, the reading of the weights. */
  callMs(span: Span): number {
    return Math.max(0, this.#step.ms - this.#row.ms) * this.#shareOf(span);
  }

  learn(span: Span, rows: number, ms: number): void {
    const share = this.#shareOf(span);
    if (share < LEAST_TELLING_SHARE || rows < 1 || !Number.isFinite(ms) || ms < 0) return;
    const whole = ms / share;
    if (rows === 1) this.#learnStep(whole);
    else if (rows <= FEW_ROWS) this.#learnFew(rows, whole);
    else this.#learnRows(rows, whole);
    this.#seen += 1;
  }

  /** The next calls tell what it is, as if they were the first. */
  restart(): void {
    for (const learned of [this.#step, this.#row, this.#fewRow]) learned.restart();
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
  #learnRows(rows: number, seen: number): void {
    this.#supposeStep(rows, seen);
    const few = this.#fewRow.isLearned ? FEW_ROWS : 1;
    const rowMs = this.#atLeast((seen - this.#wholeMs(few)) / (rows - few));
    // Steps that came since the last prompt may have shown that the place is slower or faster by now, which is true of rows too
    // where the processor is what changed, and not where turns are waited for.
    const changedMs = (this.#row.ms * this.#step.ms) / this.#stepMsAtRows;
    this.#row.learn(rowMs, Math.min(1, (rows - few) / TELLING_ROWS), changedMs);
    this.#stepMsAtRows = this.#step.ms;
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

  /** Through the whole model. */
  #wholeMs(rows: number): number {
    const few = Math.min(rows, FEW_ROWS) - 1;
    const fewRowMs = (this.#fewRow.isLearned ? this.#fewRow : this.#row).ms;
    return this.#step.ms + few * fewRowMs + (rows - 1 - few) * this.#row.ms;
  }

  #shareOf({ from, to }: Span): number {
    return (this.#shareBefore[to] ?? 1) - (this.#shareBefore[from] ?? 0);
  }
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
