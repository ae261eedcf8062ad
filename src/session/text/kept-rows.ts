/**
 * Rows that have passed a lane's first blocks and wait for the blocks behind, whose weights are still on their way.
 * What is kept is what crosses at that cut; without it they would be made again from their tokens.
 */
import { type TensorMap, totalBytes } from '../../core/tensor.ts';

/** 8,000 rows at one cut of width 2048: more than a device that has to fetch its model first is ahead with. */
export const MAX_KEPT_BYTES = 64 * 2 ** 20;

/** Positions `[from, from + rows)`, together as they were made. */
export interface Chunk {
  readonly from: number;
  readonly rows: number;
  readonly tensors: TensorMap;
}

const endOf = ({ from, rows }: Chunk): number => from + rows;

export class KeptRows {
  readonly #chunks = new Map<number, readonly Chunk[]>();

  get bytes(): number {
    return [...this.#chunks.values()].flat().reduce((sum, { tensors }) => sum + totalBytes(tensors), 0);
  }

  /** Then nothing more is to be run that would have to be kept. */
  get isFull(): boolean {
    return this.bytes >= MAX_KEPT_BYTES;
  }

  /** What reaches beyond its beginning is replaced. */
  put(cut: number, chunk: Chunk): void {
    this.#set(cut, [...this.#at(cut).filter((one) => endOf(one) <= chunk.from), chunk]);
  }

  /** The chunk at a cut that holds a position. */
  find(cut: number, position: number): Chunk | undefined {
    return this.#at(cut).find((chunk) => chunk.from <= position && position < endOf(chunk));
  }

  /** The blocks behind the cut hold all before `position`. */
  release(cut: number, position: number): void {
    this.#set(
      cut,
      this.#at(cut).filter((chunk) => endOf(chunk) > position),
    );
  }

  /** The text is another from `position` on. */
  rewind(position: number): void {
    for (const [cut, chunks] of this.#chunks) {
      this.#set(
        cut,
        chunks.filter((chunk) => endOf(chunk) <= position),
      );
    }
  }

  #at(cut: number): readonly Chunk[] {
    return this.#chunks.get(cut) ?? [];
  }

  #set(cut: number, chunks: readonly Chunk[]): void {
    if (chunks.length === 0) this.#chunks.delete(cut);
    else this.#chunks.set(cut, chunks);
  }
}
