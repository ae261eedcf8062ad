/** The segments that a runner has built or is building; each is built once, however often it is asked for. */
import type { Segment } from '../core/span.ts';
import { isIsthmusError, throwIfAborted } from '../errors.ts';
import type { LoadOptions } from './runner.ts';
import { segmentKey } from './segment-key.ts';

export interface SegmentShelfOptions<Built> {
  readonly build: (segment: Segment, options: LoadOptions) => Promise<Built>;
  /** Frees what was built. */
  readonly release: (built: Built) => Promise<void>;
  /** Throws when nothing is to be built any more. */
  readonly checkOpen: () => void;
}

export class SegmentShelf<Built> {
  readonly #options: SegmentShelfOptions<Built>;
  readonly #segments = new Map<string, Promise<Built>>();
  readonly #ready = new Map<string, Segment>();

  constructor(options: SegmentShelfOptions<Built>) {
    this.#options = options;
  }

  /** Those whose sessions stand, in no particular order. */
  ready(): readonly Segment[] {
    return [...this.#ready.values()];
  }

  /** `undefined` for one that was never asked for, or was given up. */
  async get(segment: Segment): Promise<Built | undefined> {
    return this.#segments.get(segmentKey(segment));
  }

  async load(segment: Segment, options: LoadOptions): Promise<void> {
    const { build, checkOpen } = this.#options;
    checkOpen();
    const key = segmentKey(segment);
    let loading = this.#segments.get(key);
    if (loading === undefined) {
      const mine = build(segment, options);
      loading = mine;
      this.#segments.set(key, mine);
      // A failed load may be tried again; an unhandled copy of the failure must not end the process.
      mine.then(
        () => {
          if (this.#segments.get(key) === mine) this.#ready.set(key, segment);
        },
        () => {
          if (this.#segments.get(key) === mine) this.#segments.delete(key);
        },
      );
    }
    try {
      await loading;
    } catch (error) {
      checkOpen();
      throwIfAborted(options.signal);
      // Whoever began the load gave it up; those who joined it have not.
      if (isIsthmusError(error) && error.code === 'aborted') return this.load(segment, options);
      throw error;
    }
    checkOpen();
    throwIfAborted(options.signal);
  }

  async unload(segment: Segment): Promise<void> {
    const key = segmentKey(segment);
    const loading = this.#segments.get(key);
    this.#segments.delete(key);
    this.#ready.delete(key);
    // One that failed has freed what it had, and told whoever asked for it.
    const built = await loading?.catch(() => undefined);
    if (built !== undefined) await this.#options.release(built);
  }

  async clear(): Promise<void> {
    const loading = [...this.#segments.values()];
    this.#segments.clear();
    this.#ready.clear();
    for (const result of await Promise.allSettled(loading)) {
      if (result.status === 'fulfilled') await this.#options.release(result.value);
    }
  }
}
