/** How many positions the state of each block holds. A proxy of a lane keeps such a book too. */
import type { Span } from '../core/span.ts';
import type { LoopStage } from '../package/manifest.ts';

export class FilledBlocks {
  readonly #first: number;
  readonly #positions: number[];
  readonly #stateful: ReadonlySet<number>;

  /**
   * @param blocks global indices of the loop's blocks
   * @param stateful those that have state; the others can run at any position
   */
  constructor(blocks: Span, stateful: ReadonlySet<number>) {
    this.#first = blocks.from;
    this.#positions = Array.from({ length: blocks.to - blocks.from }, () => 0);
    this.#stateful = stateful;
  }

  static ofStage(stage: LoopStage): FilledBlocks {
    return new FilledBlocks(stage, new Set(stage.states.map(({ block }) => block)));
  }

  /** Positions that every block of the span holds; 0 for a span that is none of the loop's. */
  of(span: Span): number {
    const reach = this.reach(span);
    if (reach < Infinity) return reach;
    const held = this.#positions.slice(span.from - this.#first, span.to - this.#first);
    return Math.min(...held);
  }

  /** The position up to which the span can be run: infinite where none of its blocks has state. */
  reach({ from, to }: Span): number {
    if (!(from >= this.#first && from < to && to <= this.#first + this.#positions.length)) return 0;
    let least = Infinity;
    for (let block = from; block < to; block += 1) {
      if (this.#stateful.has(block)) least = Math.min(least, this.#positions[block - this.#first] ?? 0);
    }
    return least;
  }

  set({ from, to }: Span, positions: number): void {
    this.#positions.fill(positions, from - this.#first, to - this.#first);
  }

  /** The span holds no more than `positions`. */
  cut({ from, to }: Span, positions: number): void {
    for (let at = from - this.#first; at < to - this.#first; at += 1) {
      this.#positions[at] = Math.min(this.#positions[at] ?? 0, positions);
    }
  }

  /** For the other side of a boundary: one number a block, in order. */
  list(): readonly number[] {
    return [...this.#positions];
  }

  /** What the other side has told. */
  take(positions: readonly number[]): void {
    for (let at = 0; at < this.#positions.length; at += 1) this.#positions[at] = positions[at] ?? 0;
  }
}
