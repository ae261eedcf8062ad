/** A time that is learned from runs, some of which are longer for reasons of their own; pure but for its own numbers. */

/** Weight of the newest observation once some are there. */
const LEARNING_RATE = 0.2;

/** One run that is off by more is a pause, until the next is off the same way. */
const PAUSE_FACTOR = 1.5;

export class LearnedMs {
  #ms: number;
  /** What was learned so far, in runs that tell all that one can. */
  #told = 0;
  /** Which way the latest run was off by more than a pause's factor. */
  #off: -1 | 0 | 1 = 0;

  /** @param prior ms, until a run tells */
  constructor(prior: number) {
    this.#ms = prior;
  }

  get ms(): number {
    return this.#ms;
  }

  /** Whether a run has told; else it is supposed. */
  get isLearned(): boolean {
    return this.#told > 0;
  }

  /** Supposed for other reasons than a run. */
  suppose(ms: number): void {
    this.#ms = ms;
  }

  /** The next run counts as the first one did. */
  restart(): void {
    this.#told = 0;
    this.#off = 0;
  }

  /**
   * @param seen ms, at least 0
   * @param telling share of what a run can tell that this one does
   * @param known another belief about what it was before, where there is one: the run shows which of both was right
   */
  learn(seen: number, telling = 1, known = this.#ms): void {
    if (Math.abs(Math.log(seen / known)) < Math.abs(Math.log(seen / this.#ms))) this.#ms = known;
    const way = seen > PAUSE_FACTOR * this.#ms ? 1 : seen * PAUSE_FACTOR < this.#ms ? -1 : 0;
    const isPause = this.isLearned && way !== 0 && way !== this.#off;
    this.#off = way;
    if (isPause) return;
    this.#ms += (seen - this.#ms) * Math.max(LEARNING_RATE * telling, telling / (telling + this.#told));
    this.#told += telling;
  }
}
