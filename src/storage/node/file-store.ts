/**
 * Blobs as files: `<dir>/blobs/<key>` whole, `<dir>/partial/<key>` growing. A blob appears by a rename
 * in its own file system, so a crash leaves the old one, the new one or none, never half of one.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isIsthmusError } from '../../errors.ts';
import { type BlobStore, checkKey, storageFailed, storeClosed, wrongOffset } from '../blob-store.ts';

/** Opens (and makes) a store in `dir`. Throws `storage-failed` when the folder cannot be made. */
export async function openFileStore(dir: string): Promise<BlobStore> {
  const blobs = join(dir, 'blobs');
  const partials = join(dir, 'partial');
  const scratch = join(dir, 'scratch');
  let closed = false;

  async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (closed) throw storeClosed();
    try {
      return await work();
    } catch (error) {
      throw isIsthmusError(error) ? error : storageFailed(what, error);
    }
  }
  function pathOf(folder: string, key: string): string {
    checkKey(key);
    return join(folder, key);
  }
  async function sizeOf(path: string): Promise<number | undefined> {
    return (await orAbsent(stat(path)))?.size;
  }
  async function totalOf(folder: string): Promise<number> {
    const sizes = await Promise.all((await readdir(folder)).map((name) => sizeOf(join(folder, name))));
    return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  }

  await attempt('making the folders of the store', async () => {
    for (const folder of [blobs, partials, scratch]) await mkdir(folder, { recursive: true });
  });

  return {
    get: (key) =>
      attempt('reading a blob', async () => {
        const found = await orAbsent(readFile(pathOf(blobs, key)));
        // Small reads may come out of Node's shared pool; the caller gets a buffer of its own.
        return found && new Uint8Array(found);
      }),
    has: (key) => attempt('looking for a blob', async () => (await sizeOf(pathOf(blobs, key))) !== undefined),
    put: (key, bytes) =>
      attempt('writing a blob', async () => {
        const path = pathOf(blobs, key);
        const temporary = join(scratch, randomUUID());
        try {
          await writeFile(temporary, bytes, { flag: 'wx' });
          await rename(temporary, path);
        } finally {
          await rm(temporary, { force: true });
        }
        await rm(pathOf(partials, key), { force: true });
      }),
    delete: (key) =>
      attempt('deleting a blob', async () => {
        await rm(pathOf(partials, key), { force: true });
        await rm(pathOf(blobs, key), { force: true });
      }),
    holdings: () =>
      attempt('listing blobs', async () => {
        const found = new Map<string, 'whole' | number>();
        for (const key of await readdir(partials)) {
          const size = await sizeOf(join(partials, key));
          if (size) found.set(key, size);
        }
        for (const key of await readdir(blobs)) found.set(key, 'whole');
        return found;
      }),
    bytes: () => attempt('measuring blobs', async () => (await totalOf(blobs)) + (await totalOf(partials))),
    partialLength: (key) =>
      attempt('measuring a partial blob', async () => (await sizeOf(pathOf(partials, key))) ?? 0),
    appendPartial: (key, offset, chunk) =>
      attempt('appending to a partial blob', async () => {
        const file = await open(pathOf(partials, key), 'a');
        try {
          const length = (await file.stat()).size;
          if (offset !== length) throw wrongOffset(key, offset, length);
          await file.writeFile(chunk);
        } finally {
          await file.close();
        }
      }),
    async *readPartial(key) {
      const path = pathOf(partials, key);
      if ((await attempt('measuring a partial blob', () => sizeOf(path))) === undefined) return;
      try {
        for await (const chunk of createReadStream(path)) yield new Uint8Array(chunk as Buffer);
      } catch (error) {
        throw storageFailed('reading a partial blob', error);
      }
    },
    finishPartial: (key, length) =>
      attempt('finishing a partial blob', async () => {
        const path = pathOf(partials, key);
        // Makes the file of an empty blob, of which no byte was ever appended.
        const file = await open(path, 'a');
        const { size } = await file.stat().finally(() => file.close());
        if (size !== length) throw wrongOffset(key, length, size);
        await rename(path, pathOf(blobs, key));
      }),
    async close() {
      closed = true;
    },
  };
}

/** `undefined` for a file that is not there; every other failure stays one. */
async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
