/** Where the intermediates of a program lie: those that do not live at the same time share a place. Pure. */
import { type Operation, type Program, type RowBuffer, SHARED_KINDS } from './program.ts';

/** Rows of a run at most; longer ones are run in pieces. Enough for products to reuse what they read. */
export const MAX_ROWS = 128;

/** Rows whose scores are made at once: a vocabulary of scores is the largest intermediate by far. */
export const MAX_PICKED = 8;

const ALIGNMENT = 64;

export interface Layout {
  /** Offset of each buffer, by its id. */
  readonly offsets: ReadonlyMap<number, number>;
  readonly bytes: number;
}

/** Whether all threads meet behind the operation at `index`: they do round those that they share. */
export function meetsBehind(operations: readonly Operation[], index: number): boolean {
  const [own, next] = [operations[index], operations[index + 1]];
  if (own === undefined || next === undefined) return true;
  return SHARED_KINDS.has(own.kind) || SHARED_KINDS.has(next.kind);
}

/**
 * A place is used again only behind a meeting: until then a thread may still read there for a row of its own,
 * which another thread's rows, of another width, would overwrite.
 */
export function layOut(program: Program): Layout {
  const operations = [...program.body, ...program.head];
  const kept = new Set(
    [...program.inputs.values(), ...program.outputs.values()].map(({ buffer }) => buffer.id),
  );
  for (const buffer of buffersOf(program.head)) {
    if (program.body.some((operation) => buffersOf([operation]).some(({ id }) => id === buffer.id))) {
      kept.add(buffer.id);
    }
  }
  const last = new Map<number, number>();
  operations.forEach((operation, index) => {
    for (const { id } of buffersOf([operation])) last.set(id, index);
  });
  const places = new Places();
  const offsets = new Map<number, number>();
  const place = (buffer: RowBuffer, rows: number): void => {
    if (!offsets.has(buffer.id)) offsets.set(buffer.id, places.take(align(buffer.rowBytes * rows)));
  };
  for (const { buffer } of program.inputs.values()) place(buffer, MAX_ROWS);
  let leaving: RowBuffer[] = [];
  operations.forEach((operation, index) => {
    const inHead = index >= program.body.length;
    const rows = inHead ? MAX_PICKED : MAX_ROWS;
    for (const buffer of buffersOf([operation])) {
      place(buffer, rows);
      if (last.get(buffer.id) === index && !kept.has(buffer.id)) leaving.push(buffer);
    }
    const list = inHead ? program.head : program.body;
    if (!meetsBehind(list, inHead ? index - program.body.length : index)) return;
    for (const buffer of leaving) places.give(offsets.get(buffer.id) ?? 0, align(buffer.rowBytes * rows));
    leaving = [];
  });
  return { offsets, bytes: places.end };
}

function buffersOf(operations: readonly Operation[]): RowBuffer[] {
  const seen = new Map<number, RowBuffer>();
  for (const { args } of operations) {
    for (const arg of args) if ('buffer' in arg) seen.set(arg.buffer.id, arg.buffer);
  }
  return [...seen.values()];
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** First fit among what was given back; the few dozen places of a layer are soon found. */
class Places {
  end = 0;
  #free: { at: number; bytes: number }[] = [];

  take(bytes: number): number {
    const free = this.#free.find((gap) => gap.bytes >= bytes);
    if (free === undefined) {
      this.end += bytes;
      return this.end - bytes;
    }
    const { at } = free;
    free.at += bytes;
    free.bytes -= bytes;
    return at;
  }

  give(at: number, bytes: number): void {
    this.#free = [...this.#free.filter((gap) => gap.bytes > 0), { at, bytes }].sort((a, b) => a.at - b.at);
    for (let index = this.#free.length - 1; index > 0; index -= 1) {
      const [before, gap] = [this.#free[index - 1], this.#free[index]];
      if (before === undefined || gap === undefined || before.at + before.bytes !== gap.at) continue;
      before.bytes += gap.bytes;
      this.#free.splice(index, 1);
    }
  }
}
