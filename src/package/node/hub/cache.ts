/**
 * Where downloads are kept: `hub/blobs/HASH` whole and verified, `hub/partial/HASH` on their way, and
 * `hub/models/ORG--NAME/COMMIT/path` as the repository lays them out. The same content is one file,
 * in however many repositories and commits it appears.
 */
import { copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { IsthmusError } from '../../../errors.ts';
import type { HubFile, HubListing } from './listing.ts';

/** `XDG_CACHE_HOME/isthmus` or `~/.cache/isthmus`. */
export function defaultCacheDir(env: Readonly<Record<string, string | undefined>>): string {
  const base = env.XDG_CACHE_HOME;
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'isthmus');
}

export function blobPath(cache: string, file: HubFile): string {
  return join(cache, 'hub', 'blobs', file.hash.hex);
}

export function partialPath(cache: string, file: HubFile): string {
  return join(cache, 'hub', 'partial', file.hash.hex);
}

/** The folder in which the files of one commit lie as in the repository. */
export function snapshotDir(cache: string, { repo, commit }: Omit<HubListing, 'files'>): string {
  return join(cache, 'hub', 'models', repo.replace('/', '--'), commit);
}

export async function isKept(cache: string, file: HubFile): Promise<boolean> {
  return (await sizeOf(blobPath(cache, file))) === file.bytes;
}

export async function sizeOf(path: string): Promise<number | undefined> {
  const info = await stat(path).catch(() => undefined);
  return info?.isFile() === true ? info.size : undefined;
}

/** Puts a kept blob at its place in the snapshot; returns that path. */
export async function place(cache: string, listing: HubListing, file: HubFile): Promise<string> {
  const path = join(snapshotDir(cache, listing), file.path);
  const blob = blobPath(cache, file);
  if ((await sizeOf(path)) === file.bytes) return path;
  await disk(`placing ${file.path} in the cache`, async () => {
    await mkdir(dirname(path), { recursive: true });
    const beside = `${path}.${process.pid}`;
    try {
      // A hard link costs nothing; file systems without them get a copy.
      await link(blob, beside).catch(() => copyFile(blob, beside));
      await rename(beside, path);
    } finally {
      await rm(beside, { force: true });
    }
  });
  return path;
}

/** Failures of the disk, as ours. */
export async function disk<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (typeof code !== 'string' || cause instanceof IsthmusError) throw cause;
    throw new IsthmusError('storage-failed', `${what} failed (${code})`, {
      details: { reason: code, hint: 'is the disk full or read-only? --cache DIR takes another folder' },
      cause,
    });
  }
}
