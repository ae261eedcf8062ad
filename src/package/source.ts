/** A package that is read over HTTP, through the verified cache; works offline for what is here. */
import { IsthmusError, isIsthmusError } from '../errors.ts';
import type { PackageSource } from '../runtime/runner.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { sha256Hex } from '../storage/sha256.ts';
import type { Fetch } from '../storage/shard-body.ts';
import { createShardCache, type ShardCache } from '../storage/shard-cache.ts';
import type { Manifest, PackageFile } from './manifest.ts';
import { type FetchManifestOptions, fetchManifestBytes, manifestUrl } from './manifest-bytes.ts';
import { parseManifest } from './parse-manifest.ts';

export interface CachedPackageSource extends PackageSource {
  /**
   * Of each of the named files the bytes that are not on this device yet. Throws `missing-shard` for a path that
   * the manifest does not name.
   */
  missingBytes(paths: readonly string[]): Promise<readonly number[]>;
}

export interface PackageSourceOptions {
  /** Absolute URL of the package's folder, with a slash at its end. */
  readonly baseUrl: string;
  readonly manifest: Manifest;
  readonly cache: ShardCache;
}

export function createPackageSource({ baseUrl, manifest, cache }: PackageSourceOptions): CachedPackageSource {
  return {
    async read(path, options) {
      return cache.fetch(new URL(path, baseUrl).href, fileOf(manifest, path), options);
    },
    async missingBytes(paths) {
      const files = paths.map((path) => fileOf(manifest, path));
      const held = await cache.held(files);
      return files.map(({ bytes }, at) => bytes - (held[at] ?? 0));
    },
  };
}

/** What the manifest says of a file. Throws `missing-shard` when it does not name it. */
export function fileOf(manifest: Manifest, path: string): PackageFile {
  const file = Object.hasOwn(manifest.files, path) ? manifest.files[path] : undefined;
  if (file) return file;
  throw new IsthmusError('missing-shard', `the package ${manifest.name} names no file ${path}`, {
    details: { path },
  });
}

export interface LoadPackageOptions extends FetchManifestOptions {
  /** The manifest as it comes, where somebody fetches it already. Throws what `fetchManifestBytes` throws. */
  readonly manifest?: () => Promise<Uint8Array<ArrayBuffer>>;
  readonly store: BlobStore;
  /** Default: one over `store` and `fetch`. */
  readonly cache?: ShardCache;
  readonly fetch?: Fetch;
  /** Told of storage failures that were worked around; see `ShardCacheOptions.onWarning`. */
  readonly onWarning?: (error: IsthmusError) => void;
}

export interface LoadedPackage {
  readonly manifest: Manifest;
  readonly source: CachedPackageSource;
  /** True when the network failed and the manifest is the one of an earlier visit. */
  readonly fromCache: boolean;
}

/**
 * Opens the package at `url` (its folder, or its manifest). The network comes first, so that a new
 * import is seen; when it fails, the manifest of the last visit serves. An answer that is no manifest
 * is an error also when an older one is stored: a stale model must not hide a broken deployment.
 *
 * Throws `bad-option`, `endpoint-lost` or `endpoint-failed` (no manifest from an earlier visit),
 * `bad-package`, `limit-exceeded`, `aborted`.
 */
export async function loadPackage(url: string, options: LoadPackageOptions): Promise<LoadedPackage> {
  const { store, onWarning } = options;
  const address = manifestUrl(url);
  const { fetch } = options;
  const cache =
    options.cache ?? createShardCache({ store, ...(fetch && { fetch }), ...(onWarning && { onWarning }) });
  const opened = (manifest: Manifest, fromCache: boolean): LoadedPackage => ({
    manifest,
    source: createPackageSource({ baseUrl: new URL('.', address).href, manifest, cache }),
    fromCache,
  });
  // Keys are short and plain; URLs are neither.
  const key = `manifest-${await sha256Hex(new TextEncoder().encode(address))}`;
  try {
    const bytes = await (options.manifest?.() ?? fetchManifestBytes(address, options));
    const manifest = parseManifest(bytes);
    // Behind the opening: who waits for the model does not wait for the disk.
    void keep(() => store.put(key, bytes), onWarning);
    return opened(manifest, false);
  } catch (error) {
    if (!isIsthmusError(error) || !['endpoint-lost', 'endpoint-failed'].includes(error.code)) throw error;
    const stored = await tolerate(() => store.get(key), onWarning);
    if (!stored) throw error;
    return opened(parseManifest(stored), true);
  }
}

/** A store that was closed meanwhile has nobody left to keep it for. */
async function keep(work: () => Promise<void>, onWarning: LoadPackageOptions['onWarning']): Promise<void> {
  try {
    await tolerate(work, onWarning);
  } catch (error) {
    if (!isIsthmusError(error) || error.code !== 'closed') throw error;
  }
}

async function tolerate<T>(
  work: () => Promise<T>,
  onWarning: ((error: IsthmusError) => void) | undefined,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isIsthmusError(error) || error.code !== 'storage-failed') throw error;
    onWarning?.(error);
    return undefined;
  }
}
