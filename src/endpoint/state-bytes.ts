/** What a lane's state takes in memory, reckoned from the manifest before it is allocated. */
import type { Span } from '../core/span.ts';
import { DTYPE_BYTES } from '../core/tensor.ts';
import type { LoopStage, StateEntry } from '../package/manifest.ts';
import { capacityFor } from '../runtime/state-rows.ts';

/** Bytes of one entry with room for `rows` positions; extents that vary otherwise are those of one text. */
export function entryBytes(entry: StateEntry, rows: number): number {
  const count = entry.dims.reduce<number>(
    (product, dim, axis) => product * (axis === entry.axis ? rows : (dim ?? 1)),
    1,
  );
  return count * DTYPE_BYTES[entry.dtype];
}

/** Bytes of `rows` positions of the state of a span's blocks. */
export function spanStateBytes(stage: LoopStage, { from, to }: Span, rows: number): number {
  return stage.states
    .filter(({ block }) => block >= from && block < to)
    .reduce((sum, entry) => sum + entryBytes(entry, rows), 0);
}

/** Of one lane: memory grows with the furthest position of each block and is not given back by a rewind. */
export class StateBook {
  readonly #stage: LoopStage;
  readonly #contextLength: number;
  /** Positions that there is room for, by block. */
  readonly #rooms = new Map<number, number>();
  #bytes = 0;

  constructor(stage: LoopStage, contextLength: number) {
    this.#stage = stage;
    this.#contextLength = contextLength;
  }

  /** Bytes in all once the span's blocks have room for `positions`. */
  reach({ from, to }: Span, positions: number): number {
    const room = capacityFor(positions, this.#contextLength);
    let grew = false;
    for (let block = from; block < to; block += 1) {
      if ((this.#rooms.get(block) ?? 0) >= room) continue;
      this.#rooms.set(block, room);
      grew = true;
    }
    if (grew) {
      this.#bytes = this.#stage.states.reduce((sum, entry) => {
        const rows = this.#rooms.get(entry.block);
        return rows === undefined ? sum : sum + entryBytes(entry, rows);
      }, 0);
    }
    return this.#bytes;
  }
}
