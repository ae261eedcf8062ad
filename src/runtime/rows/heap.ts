/**
 * Places in the kernels' memory. First fit over a sorted list of gaps: weights come and go in megabytes and pages
 * of state in one size, so that there are few gaps to look through. The book is kept outside the
 * memory: what is written there can break no list.
 */
import { IsthmusError } from '../../errors.ts';

/** Enough for every vector load; also keeps what different threads write in different cache lines. */
const ALIGNMENT = 64;

/** What memory grows by at least: few calls, and little that is never used. */
const LEAST_GROWTH = 2 ** 20;

interface Gap {
  at: number;
  bytes: number;
}

export class Heap {
  readonly #grow: (bytes: number) => void;
  readonly #gaps: Gap[] = [];
  readonly #sizes = new Map<number, number>();
  #end: number;
  #reach: number;

  /**
   * @param base the first byte to use
   * @param grow makes memory reach as far as so many bytes; throws where it cannot
   */
  constructor(base: number, grow: (bytes: number) => void) {
    this.#grow = grow;
    this.#end = align(base);
    this.#reach = this.#end;
  }

  /** Bytes handed out now. */
  get used(): number {
    let sum = 0;
    for (const bytes of this.#sizes.values()) sum += bytes;
    return sum;
  }

  /** What was in memory there stays as it is. Throws `run-failed` where memory ends. */
  take(bytes: number): number {
    const size = align(Math.max(bytes, 1));
    const index = this.#gaps.findIndex((gap) => gap.bytes >= size);
    const gap = this.#gaps[index];
    let at = this.#end;
    if (gap === undefined) {
      this.#reachFor(at + size);
      this.#end += size;
    } else {
      at = gap.at;
      gap.at += size;
      gap.bytes -= size;
      if (gap.bytes === 0) this.#gaps.splice(index, 1);
    }
    this.#sizes.set(at, size);
    return at;
  }

  /** Ignores what it never gave. */
  give(at: number): void {
    const bytes = this.#sizes.get(at);
    if (bytes === undefined) return;
    this.#sizes.delete(at);
    let index = this.#gaps.findIndex((gap) => gap.at > at);
    if (index < 0) index = this.#gaps.length;
    this.#gaps.splice(index, 0, { at, bytes });
    this.#join(index);
    this.#join(index - 1);
    const last = this.#gaps.at(-1);
    if (last !== undefined && last.at + last.bytes === this.#end) {
      this.#end = last.at;
      this.#gaps.pop();
    }
  }

  #join(index: number): void {
    const [gap, next] = [this.#gaps[index], this.#gaps[index + 1]];
    if (gap === undefined || next === undefined || gap.at + gap.bytes !== next.at) return;
    gap.bytes += next.bytes;
    this.#gaps.splice(index + 1, 1);
  }

  #reachFor(end: number): void {
    if (end <= this.#reach) return;
    const wanted = Math.max(end, this.#reach + LEAST_GROWTH);
    if (wanted > end && this.#tryToReach(wanted) === undefined) return;
    const cause = this.#tryToReach(end);
    if (cause !== undefined) {
      throw new IsthmusError('run-failed', `no memory for ${end} bytes; close other sessions or tabs`, {
        cause,
        details: { bytes: end },
      });
    }
  }

  /** Why not, where it cannot. */
  #tryToReach(end: number): unknown {
    try {
      this.#grow(end);
    } catch (error) {
      return error ?? 'refused';
    }
    this.#reach = end;
    return undefined;
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
