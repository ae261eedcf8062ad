/**
 * Verified shards, each fetched once: from the store if it is there, else from the network, resumed
 * where an earlier visit stopped. Shards are known by their hash, so two URLs with the same content
 * are one shard.
 */
import { IsthmusError, isIsthmusError } from '../errors.ts';
import type { BlobStore } from './blob-store.ts';
import { PartialKeeper } from './partial-keeper.ts';
import { sha256Hex } from './sha256.ts';
import type { Fetch } from './shard-body.ts';
import { downloadShard } from './shard-download.ts';
import type { ShardId } from './shard-response.ts';
import { type Progress, SharedJobs, type WaitOptions } from './shared-jobs.ts';

/** Longer than a handover between cells or a sleeping server takes; shorter than a user's patience. */
const DEFAULT_STALL_MS = 20_000;

export interface ShardCacheOptions {
  readonly store: BlobStore;
  /** Default: the platform's. */
  readonly fetch?: Fetch;
  /** Ms without a byte after which the link counts as lost. */
  readonly stallMs?: number;
  /**
   * Told of each `storage-failed` that the cache works around: a full or broken store, a damaged
   * blob. Shards that could not be stored are held in memory as long as the cache lives.
   */
  readonly onWarning?: (error: IsthmusError) => void;
}

export interface ShardCache {
  /**
   * The shard's verified bytes, in a buffer that belongs to the caller. Concurrent calls share one
   * download; aborting one of them leaves it to the others. `onProgress` must not throw.
   *
   * Throws `missing-shard` (the URL has no file of that length), `bad-shard` (wrong content),
   * `endpoint-lost` (with `details.received` and `details.missing`; the next call resumes),
   * `endpoint-failed`, `aborted`, `limit-exceeded`.
   */
  fetch(url: string, shard: ShardId, options?: WaitOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** Of each shard the bytes that need no fetching any more: stored, left by earlier visits, or just received. */
  held(shards: readonly ShardId[]): Promise<readonly number[]>;
}

export function createShardCache(options: ShardCacheOptions): ShardCache {
  const { store } = options;
  const warn = (error: IsthmusError): void => options.onWarning?.(error);
  const jobs = new SharedJobs<Uint8Array<ArrayBuffer>>();
  /** Shards that the store did not take. */
  const overflow = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Hashing is for what comes from outside; within one visit the store is trusted. */
  const verified = new Set<string>();

  async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      warn(error);
      return undefined;
    }
  }

  async function fromStore({ sha256, bytes }: ShardId): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const found = overflow.get(sha256)?.slice() ?? (await attempt(() => store.get(sha256)));
    if (!found || verified.has(sha256)) return found;
    if (found.byteLength === bytes && (await sha256Hex(found)) === sha256) {
      verified.add(sha256);
      return found;
    }
    warn(
      new IsthmusError('storage-failed', `the stored shard ${sha256} is damaged and fetched again`, {
        details: { reason: 'damaged', sha256 },
      }),
    );
    await attempt(() => store.delete(sha256));
    return undefined;
  }

  async function bring(url: string, shard: ShardId, signal: AbortSignal, progress: Progress) {
    const stored = await fromStore(shard);
    if (stored) {
      progress(shard.bytes, shard.bytes);
      return stored;
    }
    const keeper = new PartialKeeper(store, shard.sha256, warn);
    const bytes = await downloadShard({
      url,
      shard,
      keeper,
      signal,
      progress,
      fetch: options.fetch ?? ((address, init) => globalThis.fetch(address, init)),
      stallMs: options.stallMs ?? DEFAULT_STALL_MS,
    });
    verified.add(shard.sha256);
    if (!(await keeper.complete(bytes))) overflow.set(shard.sha256, bytes.slice());
    return bytes;
  }

  return {
    async fetch(url, shard, waitOptions = {}) {
      const { value, first } = await jobs.join(
        shard.sha256,
        (signal, progress) => bring(url, shard, signal, progress),
        waitOptions,
      );
      // One caller gets the buffer itself, for large shards should not be held twice without need.
      return first ? value : value.slice();
    },
    async held(shards) {
      const stored = await attempt(() => store.holdings());
      return shards.map(({ sha256, bytes }) => {
        const held = overflow.has(sha256) ? 'whole' : (stored?.get(sha256) ?? 0);
        return held === 'whole' ? bytes : Math.min(bytes, Math.max(held, jobs.done(sha256)));
      });
    },
  };
}
