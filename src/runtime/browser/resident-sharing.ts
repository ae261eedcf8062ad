/** Weights in the WASM heap that several sessions use: held once, freed with the last session that does. */
import { byteLengthOf } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { HeldWeights, SharedWeight, WeightSharing } from '../shared-weights.ts';
import type { HeapTensor, ResidentHeap } from './resident-heap.ts';

interface Entry {
  readonly tensor: HeapTensor;
  users: number;
}

export class ResidentSharing implements WeightSharing {
  readonly #heap: ResidentHeap;
  /** By shard and place. */
  readonly #entries = new Map<string, Entry>();

  constructor(heap: ResidentHeap) {
    this.#heap = heap;
  }

  async hold(
    weights: readonly SharedWeight[],
    read: (location: string) => Promise<Uint8Array>,
  ): Promise<HeldWeights> {
    const held = new Map<string, HeapTensor>();
    const keys: string[] = [];
    const release = (): void => {
      for (const key of keys.splice(0)) this.#leave(key);
    };
    const shards = new Map<string, Uint8Array>();
    try {
      for (const weight of weights) {
        const { name, location } = weight;
        const key = keyOf(weight);
        if (!this.#entries.has(key) && !shards.has(location)) shards.set(location, await read(location));
        held.set(name, this.#join(key, weight, shards.get(location)));
        keys.push(key);
      }
    } catch (error) {
      release();
      throw error;
    }
    return { tensors: held, release };
  }

  #join(key: string, weight: SharedWeight, shard: Uint8Array | undefined): HeapTensor {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.users += 1;
      return known.tensor;
    }
    const { name, dtype, dims, offset } = weight;
    const end = offset + byteLengthOf(dtype, dims);
    if (shard === undefined || end > shard.byteLength) {
      throw new IsthmusError('run-failed', `weight '${name}' points beyond its shard`);
    }
    const tensor = this.#heap.create(dtype, dims);
    this.#heap.bytes(tensor).set(shard.subarray(offset, end));
    this.#entries.set(key, { tensor, users: 1 });
    return tensor;
  }

  #leave(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    this.#entries.delete(key);
    this.#heap.release(entry.tensor);
  }
}

function keyOf({ location, offset, dtype, dims }: SharedWeight): string {
  return `${location}@${offset}:${dtype}[${dims.join()}]`;
}
