/** Which segments of a runner have sessions, within a bound: the one that lay idle longest goes first. */
import type { Segment } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import { segmentKey } from '../runtime/segment-key.ts';

export interface SegmentLoader {
  load(segment: Segment): Promise<void>;
  unload(segment: Segment): Promise<void>;
}

interface Entry {
  readonly segment: Segment;
  readonly loading: Promise<void>;
  /** Requests that use it now; such a segment is never unloaded. */
  users: number;
}

export class SegmentPool {
  readonly #loader: SegmentLoader;
  readonly #limit: number;
  /** In order of last use, longest ago first. */
  readonly #entries = new Map<string, Entry>();

  /** @param limit segments to hold at most */
  constructor(loader: SegmentLoader, limit: number) {
    this.#loader = loader;
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Loads what is not loaded yet and keeps all of it until the returned function is called, once.
   * Throws `limit-exceeded` when the pool is full of segments in use, and what the loader throws;
   * then nothing stays taken.
   */
  async acquire(segments: readonly Segment[]): Promise<() => void> {
    const taken: Entry[] = [];
    const release = (): void => {
      // By entry, not by key: after a failed load the key may stand for another attempt.
      for (const entry of taken.splice(0)) entry.users -= 1;
    };
    try {
      for (const segment of segments) {
        const entry = this.#take(segment);
        taken.push(entry);
        await entry.loading;
      }
      return release;
    } catch (error) {
      release();
      throw error;
    }
  }

  #take(segment: Segment): Entry {
    const key = segmentKey(segment);
    const held = this.#entries.get(key);
    if (held !== undefined) {
      held.users += 1;
      // Last in the map is used last.
      this.#entries.delete(key);
      this.#entries.set(key, held);
      return held;
    }
    this.#makeRoom();
    const entry: Entry = { segment, loading: this.#loader.load(segment), users: 1 };
    this.#entries.set(key, entry);
    entry.loading.catch(() => {
      // Asked for again, it is tried again.
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    });
    return entry;
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#limit) return;
    for (const [key, entry] of this.#entries) {
      if (entry.users > 0) continue;
      this.#entries.delete(key);
      // Not waited for: the loader does one thing after the other. A failure leaves nothing to undo.
      this.#loader.unload(entry.segment).catch(() => undefined);
      return;
    }
    throw new IsthmusError('limit-exceeded', `${this.#limit} segments are loaded and all are in use`, {
      details: { what: 'loaded segments', limit: this.#limit },
    });
  }
}
