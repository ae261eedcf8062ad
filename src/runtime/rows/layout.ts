/** Where the intermediates of a program lie: those that do not live at the same time share a place. Pure. */
import { Heap } from './heap.ts';
import { type Operation, type Program, type RowBuffer, SHARED_KINDS } from './program.ts';

/** Rows of a run at most; longer ones are run in pieces. Enough for products to reuse what they read. */
export const MAX_ROWS = 128;

/** Rows whose scores are made at once: a vocabulary of scores is the largest intermediate by far. */
export const MAX_PICKED = 8;

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
  const inBody = new Set(buffersOf(program.body).map(({ id }) => id));
  const kept = new Set([
    ...[...program.inputs.values(), ...program.outputs.values()].map(({ buffer }) => buffer.id),
    // What the body leaves to the head, which may run several times behind it.
    ...buffersOf(program.head).flatMap(({ id }) => (inBody.has(id) ? [id] : [])),
  ]);
  const last = new Map<number, number>();
  operations.forEach((operation, index) => {
    for (const { id } of buffersOf([operation])) last.set(id, index);
  });
  let bytes = 0;
  // Only the book of a heap: it lies in whatever memory the layout is put into.
  const places = new Heap(0, () => undefined);
  const offsets = new Map<number, number>();
  const place = (buffer: RowBuffer, rows: number): void => {
    if (offsets.has(buffer.id)) return;
    const at = places.take(buffer.rowBytes * rows);
    offsets.set(buffer.id, at);
    bytes = Math.max(bytes, at + buffer.rowBytes * rows);
  };
  for (const { buffer } of program.inputs.values()) place(buffer, MAX_ROWS);
  let leaving: number[] = [];
  operations.forEach((operation, index) => {
    const inHead = index >= program.body.length;
    for (const buffer of buffersOf([operation])) {
      place(buffer, inHead ? MAX_PICKED : MAX_ROWS);
      if (last.get(buffer.id) === index && !kept.has(buffer.id)) leaving.push(buffer.id);
    }
    const list = inHead ? program.head : program.body;
    if (!meetsBehind(list, inHead ? index - program.body.length : index)) return;
    for (const id of leaving) places.give(offsets.get(id) ?? 0);
    leaving = [];
  });
  return { offsets, bytes };
}

function buffersOf(operations: readonly Operation[]): RowBuffer[] {
  const seen = new Map<number, RowBuffer>();
  for (const { args } of operations) {
    for (const arg of args) if ('buffer' in arg) seen.set(arg.buffer.id, arg.buffer);
  }
  return [...seen.values()];
}
