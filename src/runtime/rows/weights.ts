/**
 * Weights in the kernels' memory, in the form in which they read them, once each however many spans use
 * them. A shard is read, its weights are put in place and it is let go before the next one is read.
 */
import { elementCount } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { OnnxTensor } from '../../graph/onnx-types.ts';
import { InTurn } from '../in-turn.ts';
import type { Heap } from './heap.ts';
import type { Kernels } from './kernels.ts';
import { paddedColumns, paddedInner, type WeightUse } from './program.ts';

/** Rows of a matrix that the kernels turn at a time; see `kernels/pack.ts`. */
const TILE_ROWS = 16;

interface Held {
  readonly at: number;
  users: number;
}

type ReadShard = (location: string) => Promise<Uint8Array>;

/** What may be done with a shard's bytes once its weights are in place. */
export type LetGo = (bytes: Uint8Array) => void;

export class Weights {
  readonly #kernels: Kernels;
  readonly #heap: Heap;
  readonly #letGo: LetGo;
  readonly #held = new Map<string, Held>();
  /** Weights are put in place one list after the other: two must not both find one missing. */
  readonly #turn = new InTurn();

  constructor(kernels: Kernels, heap: Heap, letGo: LetGo = () => undefined) {
    this.#kernels = kernels;
    this.#heap = heap;
    this.#letGo = letGo;
  }

  /**
   * Where these weights are; of use until `release` is called with the same list. Throws what reading
   * throws, `bad-shard` for a shard that is too short, `run-failed` where memory ends.
   */
  hold(uses: readonly WeightUse[], read: ReadShard): Promise<void> {
    return this.#turn.do(() => this.#place(uses, read));
  }

  addressOf(use: WeightUse): number {
    const held = this.#held.get(keyOf(use));
    if (held === undefined) throw new IsthmusError('internal', `'${use.tensor.name}' is not in memory`);
    return held.at;
  }

  release(uses: readonly WeightUse[]): void {
    for (const key of new Set(uses.map(keyOf))) {
      const held = this.#held.get(key);
      if (held === undefined) continue;
      held.users -= 1;
      if (held.users > 0) continue;
      this.#held.delete(key);
      this.#heap.give(held.at);
    }
  }

  async #place(uses: readonly WeightUse[], read: ReadShard): Promise<void> {
    const byKey = new Map(uses.map((use) => [keyOf(use), use]));
    const mine: WeightUse[] = [];
    const missing = new Map<string, WeightUse[]>();
    for (const [key, use] of byKey) {
      const held = this.#held.get(key);
      if (held === undefined) {
        const location = use.tensor.external?.location ?? '';
        missing.set(location, [...(missing.get(location) ?? []), use]);
      } else {
        held.users += 1;
        mine.push(use);
      }
    }
    try {
      for (const [location, list] of missing) {
        const shard = location === '' ? undefined : await read(location);
        for (const use of list) {
          this.#held.set(keyOf(use), { at: this.#put(use, bytesOf(use.tensor, shard)), users: 1 });
          mine.push(use);
        }
        if (shard !== undefined) this.#letGo(shard);
      }
    } catch (error) {
      this.release(mine);
      throw error;
    }
  }

  #put({ form }: WeightUse, bytes: Uint8Array): number {
    if (form.as === 'matrix') return this.#putMatrix(form.inner, form.columns, bytes);
    const at = this.#heap.take(bytes.byteLength);
    const target = new Float32Array(this.#kernels.memory.buffer, at, bytes.byteLength / 4);
    const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let index = 0; index < target.length; index += 1) {
      const value = source.getFloat32(index * 4, true);
      // Rounded once, as the graph's own operators round the product of two scales.
      target[index] = form.factor === 1 ? value : value * Math.fround(form.factor);
    }
    return at;
  }

  #putMatrix(inner: number, columns: number, bytes: Uint8Array): number {
    const { memory, transpose } = this.#kernels;
    const padded = paddedInner(inner);
    const size = paddedColumns(columns) * padded;
    const tile = this.#heap.take(columns * TILE_ROWS);
    let at: number;
    try {
      at = this.#heap.take(size);
    } catch (error) {
      this.#heap.give(tile);
      throw error;
    }
    if (size > columns * inner) new Uint8Array(memory.buffer, at, size).fill(0);
    for (let from = 0; from < inner; from += TILE_ROWS) {
      const count = Math.min(TILE_ROWS, inner - from);
      const rows = bytes.subarray(from * columns, (from + count) * columns);
      new Uint8Array(memory.buffer, tile, rows.byteLength).set(rows);
      transpose(at, tile, from, count, columns, padded);
    }
    this.#heap.give(tile);
    return at;
  }
}

/** One graph: names tell weights apart. */
function keyOf({ tensor, form }: WeightUse): string {
  return form.as === 'matrix' ? `matrix:${tensor.name}` : `floats*${form.factor}:${tensor.name}`;
}

function bytesOf(tensor: OnnxTensor, shard: Uint8Array | undefined): Uint8Array {
  const { external, data, dims } = tensor;
  const bytes =
    external === undefined || shard === undefined
      ? data
      : shard.subarray(
          external.offset,
          external.length === undefined ? undefined : external.offset + external.length,
        );
  // int8 and float32 are all that compilation lets through; see `read-products.ts`, `floats`.
  const wanted = elementCount(dims) * (tensor.dataType === 3 ? 1 : 4);
  if (bytes?.byteLength === wanted) return bytes;
  throw new IsthmusError('bad-shard', `'${tensor.name}' has ${bytes?.byteLength ?? 0} bytes, not ${wanted}`, {
    details: { name: tensor.name, location: external?.location },
  });
}
