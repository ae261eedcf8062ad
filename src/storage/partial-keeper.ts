/**
 * Writes a shard into the store while it arrives. The store is a help, never a condition: once it
 * fails, the keeper reports that once and the download goes on in memory.
 */
import { type IsthmusError, isIsthmusError } from '../errors.ts';
import type { BlobStore } from './blob-store.ts';

/** Network chunks are some 16–64 KiB; a transaction for each would cost more than the transfer. */
const FLUSH_BYTES = 2 ** 20;

export class PartialKeeper {
  readonly #store: BlobStore;
  readonly #key: string;
  readonly #warn: (error: IsthmusError) => void;
  #kept = 0;
  #state: 'usable' | 'contested' | 'failed' = 'usable';

  constructor(store: BlobStore, key: string, warn: (error: IsthmusError) => void) {
    this.#store = store;
    this.#key = key;
    this.#warn = warn;
  }

  /**
   * Copies what an earlier visit left to the front of `target`, piece by piece through `each`.
   * Resolves with its length: 0 when there is nothing usable, whatever `each` was given by then.
   */
  async restore(target: Uint8Array, each: (piece: Uint8Array) => Promise<void>): Promise<number> {
    let at = 0;
    const read = await this.#attempt(async () => {
      for await (const piece of this.#store.readPartial(this.#key)) {
        if (at + piece.byteLength > target.byteLength) return false;
        target.set(piece, at);
        at += piece.byteLength;
        await each(piece);
      }
      return true;
    });
    if (read === false) await this.reset();
    if (read !== true) return 0;
    this.#kept = at;
    return at;
  }

  /** `bytes[0..upTo)` is here; writes what the store lacks when it is worth a transaction, or `now`. */
  async keep(bytes: Uint8Array, upTo: number, now = false): Promise<void> {
    const gap = upTo - this.#kept;
    if (gap === 0 || (!now && gap < FLUSH_BYTES)) return;
    await this.#attempt(async () => {
      await this.#store.appendPartial(this.#key, this.#kept, bytes.subarray(this.#kept, upTo));
      this.#kept = upTo;
    });
  }

  /** Forgets what was kept, because it is wrong or of no use. */
  async reset(): Promise<void> {
    this.#kept = 0;
    await this.#attempt(() => this.#store.delete(this.#key));
  }

  /** The whole shard is here and verified. False when the store did not take it. */
  async complete(bytes: Uint8Array): Promise<boolean> {
    await this.keep(bytes, bytes.byteLength, true);
    await this.#attempt(() => this.#store.finishPartial(this.#key, bytes.byteLength));
    if (this.#state === 'contested') {
      this.#state = 'usable';
      await this.#attempt(async () => {
        if (!(await this.#store.has(this.#key))) await this.#store.put(this.#key, bytes);
      });
    }
    return this.#state === 'usable';
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#state !== 'usable') return undefined;
    try {
      return await work();
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      // Another tab downloads the same shard: no failure, but its partial blob is not ours to write.
      this.#state = error.details.reason === 'offset' ? 'contested' : 'failed';
      if (this.#state === 'failed') this.#warn(error);
      return undefined;
    }
  }
}
