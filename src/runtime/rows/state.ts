/**
 * The KV cache of one text in the kernels' memory, in pages of a few positions for each layer: what a
 * text does not use is not held, and growing moves nothing. A page is `[kvHeads, positions, headDim]` of keys,
 * then the same of values, float32.
 */
import { makeTensor, type Tensor } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { StateEntry } from '../../package/manifest.ts';
import { cannotStandAt, rowsFor } from '../state-rows.ts';
import type { Heap } from './heap.ts';
import type { AttentionLayer } from './program.ts';

export interface StateShape {
  /** By the name of the key's input; the order is that of the tables. */
  readonly layers: ReadonlyMap<string, AttentionLayer & { readonly index: number }>;
  /** Positions of the model at most. */
  readonly positions: number;
  readonly pagePositions: number;
}

export class PagedState {
  readonly #memory: WebAssembly.Memory;
  readonly #heap: Heap;
  readonly #shape: StateShape;
  /** Pages of each layer, by the key's name. */
  readonly #pages = new Map<string, number[]>();
  /** Positions that keys and values hold, by the entry's input name. */
  readonly #rows = new Map<string, number>();
  /** Addresses of pages, a table for each layer. */
  readonly tables: number;

  constructor(memory: WebAssembly.Memory, heap: Heap, shape: StateShape) {
    this.#memory = memory;
    this.#heap = heap;
    this.#shape = shape;
    this.tables = heap.take(shape.layers.size * this.tableBytes);
  }

  get tableBytes(): number {
    return Math.ceil(this.#shape.positions / this.#shape.pagePositions) * 4;
  }

  /** Throws `bad-option` where an entry cannot be set to a position. */
  check(entries: readonly StateEntry[], position: number): void {
    for (const entry of entries) {
      const rows = this.#rows.get(entry.input) ?? 0;
      if (!isPosition(position) || position > rows) throw cannotStandAt(entry, rows, position);
    }
  }

  /** Room in these layers for positions up to `rows`. Throws `run-failed` where memory ends. */
  reach(layers: readonly AttentionLayer[], rows: number): void {
    for (const layer of layers) {
      const pages = this.#pages.get(layer.pastKey) ?? [];
      this.#pages.set(layer.pastKey, pages);
      const index = this.#shape.layers.get(layer.pastKey)?.index ?? 0;
      while (pages.length * this.#shape.pagePositions < rows) {
        const page = this.#heap.take(this.#pageBytes(layer));
        const table = this.tables + index * this.tableBytes + pages.length * 4;
        new DataView(this.#memory.buffer).setUint32(table, page, true);
        pages.push(page);
      }
    }
  }

  /** The entries hold so many positions now. */
  hold(entries: readonly StateEntry[], rows: number): void {
    for (const { input } of entries) this.#rows.set(input, rows);
  }

  /** Positions `[from, to)` of an entry, `[1, kvHeads, to - from, headDim]`. `bad-option` beyond what it holds. */
  read(entry: StateEntry, from: number, to: number): Tensor {
    const rows = this.#rows.get(entry.input) ?? 0;
    if (!isPosition(from) || !isPosition(to) || from > to || to > rows) throw cannotStandAt(entry, rows, to);
    const { layer, isValue } = this.#layerOf(entry);
    const count = to - from;
    const bytes = new Uint8Array(layer.kvHeads * count * layer.headDim * 4);
    this.#eachRun(layer, isValue, from, count, (head, at, length, place) => {
      const to = (head * count + place) * layer.headDim * 4;
      bytes.set(new Uint8Array(this.#memory.buffer, at, length), to);
    });
    return makeTensor('float32', [1, layer.kvHeads, count, layer.headDim], bytes);
  }

  /** Puts rows in place from `from` on; the entry holds those and no more. */
  write(entry: StateEntry, from: number, tensor: Tensor): void {
    const count = rowsFor(entry, tensor);
    this.check([entry], from);
    checkLength(from + count, this.#shape.positions);
    const { layer, isValue } = this.#layerOf(entry);
    this.reach([layer], from + count);
    this.#eachRun(layer, isValue, from, count, (head, at, length, place) => {
      const start = (head * count + place) * layer.headDim * 4;
      new Uint8Array(this.#memory.buffer, at, length).set(tensor.bytes.subarray(start, start + length));
    });
    this.hold([entry], from + count);
  }

  close(): void {
    for (const pages of this.#pages.values()) for (const page of pages) this.#heap.give(page);
    this.#pages.clear();
    this.#heap.give(this.tables);
  }

  #pageBytes({ kvHeads, headDim }: AttentionLayer): number {
    return 2 * kvHeads * this.#shape.pagePositions * headDim * 4;
  }

  #layerOf(entry: StateEntry): { readonly layer: AttentionLayer; readonly isValue: boolean } {
    for (const layer of this.#shape.layers.values()) {
      if (layer.pastKey === entry.input) return { layer, isValue: false };
      if (layer.pastValue === entry.input) return { layer, isValue: true };
    }
    throw cannotStandAt(entry, 0, 0);
  }

  /** Stretches of positions that lie together: `place` of the first one, counted from `from`. */
  #eachRun(
    layer: AttentionLayer,
    isValue: boolean,
    from: number,
    count: number,
    work: (head: number, at: number, bytes: number, place: number) => void,
  ): void {
    const { pagePositions } = this.#shape;
    const rowBytes = layer.headDim * 4;
    const pages = this.#pages.get(layer.pastKey) ?? [];
    for (let position = from; position < from + count; ) {
      const page = pages[Math.floor(position / pagePositions)] ?? 0;
      const slot = position % pagePositions;
      const here = Math.min(pagePositions - slot, from + count - position);
      for (let head = 0; head < layer.kvHeads; head += 1) {
        const line = (isValue ? layer.kvHeads : 0) + head;
        const at = page + (line * pagePositions + slot) * rowBytes;
        work(head, at, here * rowBytes, position - from);
      }
      position += here;
    }
  }
}

/** Throws `input-too-long` for more positions than the model has. */
export function checkLength(positions: number, most: number): void {
  if (!(positions > most)) return;
  const what = `${positions} positions are more than the model's ${most}`;
  throw new IsthmusError('input-too-long', what, { details: { positions, most } });
}

function isPosition(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
