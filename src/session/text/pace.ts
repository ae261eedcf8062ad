/** How fast a place runs text, learned from every call; pure but for its own numbers. */
import type { Span } from '../../core/span.ts';
import type { Manifest } from '../../package/manifest.ts';

/** Weight of the newest observation once some are there. */
const LEARNING_RATE = 0.2;

/** Calls of more rows than this are prefill: rows share the reading of the weights. */
const FEW_ROWS = 8;

/** Before anything is measured: ms per token per 100 MB of weights, as of a slow laptop core. */
const PRIOR_MS_PER_BYTE = 50 / 100e6;

/** Rows in one call cost less each than one alone; measured 2 to 6 times on CPUs. */
const PRIOR_PREFILL_GAIN = 3;

export class Pace {
  /** Of the blocks before each, and of all at the end. */
  readonly #shareBefore: readonly number[];
  /** Ms of one row through the whole model. */
  #stepMs: number;
  #rowMs: number;
  #steps = 0;
  #prefills = 0;

  /** @param factor of the prior: an endpoint is expected to be faster than a phone */
  constructor(manifest: Manifest, factor = 1) {
    const bytes = manifest.blocks.map((block) => Math.max(1, block.weightBytes));
    const all = bytes.reduce((sum, one) => sum + one, 0);
    let before = 0;
    this.#shareBefore = [0, ...bytes].map((one) => {
      before += one;
      return before / all;
    });
    this.#stepMs = all * PRIOR_MS_PER_BYTE * factor;
    this.#rowMs = this.#stepMs / PRIOR_PREFILL_GAIN;
  }

  /** Whether anything was measured; else all that is said is a guess. */
  get isMeasured(): boolean {
    return this.#steps + this.#prefills > 0;
  }

  /** What was measured holds no more: the next observation replaces it. */
  doubt(): void {
    this.#steps = 0;
    this.#prefills = 0;
  }

  /** Ms of a call with so many rows through a span. */
  ms(span: Span, rows: number): number {
    const whole = rows <= FEW_ROWS ? this.#stepMs + (rows - 1) * this.#rowMs : rows * this.#rowMs;
    return whole * this.#shareOf(span);
  }

  /** Ms of a call through a span beside its rows: what they share, the reading of the weights. */
  callMs(span: Span): number {
    return Math.max(0, this.#stepMs - this.#rowMs) * this.#shareOf(span);
  }

  learn(span: Span, rows: number, ms: number): void {
    const share = this.#shareOf(span);
    if (share <= 0 || rows < 1 || !Number.isFinite(ms) || ms < 0) return;
    const whole = ms / share;
    if (rows === 1) {
      this.#stepMs = mixed(this.#stepMs, whole, this.#steps);
      // Until prefill is measured it is told from the steps.
      if (this.#prefills === 0) this.#rowMs = this.#stepMs / PRIOR_PREFILL_GAIN;
      this.#steps += 1;
    } else if (rows > FEW_ROWS) {
      this.#rowMs = mixed(this.#rowMs, whole / rows, this.#prefills);
      if (this.#steps === 0) this.#stepMs = this.#rowMs * PRIOR_PREFILL_GAIN;
      this.#prefills += 1;
    }
  }

  #shareOf({ from, to }: Span): number {
    return (this.#shareBefore[to] ?? 1) - (this.#shareBefore[from] ?? 0);
  }
}

function mixed(known: number, seen: number, times: number): number {
  return known + (seen - known) * Math.max(LEARNING_RATE, 1 / (1 + times));
}
