/** A download that is not whole yet: its bytes, and the tag of the answer that they came from. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { blobPath, disk, isKept, partialPath, sizeOf } from './cache.ts';
import type { HubFile } from './listing.ts';

/** Tags are some tens of characters. */
const MAX_TAG = 1024;

export interface PartialFile {
  readonly path: string;
  /** Bytes that are there. */
  readonly length: number;
  /** Strong `ETag` of the answer that they came from; weak ones do not promise the same bytes. */
  readonly tag: string | undefined;
  /** Positioned, so that two downloads of the same content do each other no harm. */
  readonly append: (piece: Uint8Array) => Promise<void>;
  /** Forgets the bytes; those to come belong to `tag`. */
  readonly restart: (tag: string | undefined) => Promise<void>;
  readonly read: (offset: number, length: number) => Promise<Uint8Array>;
  /** Whether the whole content has the file's hash. */
  readonly verify: () => Promise<boolean>;
  /** Makes it the blob. */
  readonly finish: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function openPartial(cache: string, file: HubFile): Promise<PartialFile> {
  const path = partialPath(cache, file);
  const tagPath = `${path}.etag`;
  return disk('opening a download in the cache', async () => {
    await mkdir(dirname(path), { recursive: true });
    // Makes the file and keeps what is in it.
    await (await open(path, 'a')).close();
    const handle: FileHandle = await open(path, 'r+');
    let length = (await sizeOf(path)) ?? 0;
    let tag = strongTag(await readFile(tagPath, 'utf8').catch(() => null));
    const partial: PartialFile = {
      path,
      get length() {
        return length;
      },
      get tag() {
        return tag;
      },
      append: (piece) =>
        disk('writing a download', async () => {
          for (let done = 0; done < piece.byteLength; ) {
            const { bytesWritten } = await handle.write(piece, done, piece.byteLength - done, length + done);
            done += bytesWritten;
          }
          length += piece.byteLength;
        }),
      restart: (next) =>
        disk('writing a download', async () => {
          await truncate(path, 0);
          length = 0;
          tag = strongTag(next ?? null);
          if (tag === undefined) await rm(tagPath, { force: true });
          else await writeFile(tagPath, tag);
        }),
      read: (offset, count) =>
        disk('reading a download', async () => {
          const bytes = new Uint8Array(count);
          const { bytesRead } = await handle.read(bytes, 0, count, offset);
          return bytes.subarray(0, bytesRead);
        }),
      verify: async () => length === file.bytes && (await hashOf(path, file)) === file.hash.hex,
      finish: () =>
        disk('keeping a download', async () => {
          const blob = blobPath(cache, file);
          await mkdir(dirname(blob), { recursive: true });
          try {
            await rename(path, blob);
          } catch (error) {
            // Another import finished the same content first.
            if (!(await isKept(cache, file))) throw error;
          }
          await rm(tagPath, { force: true });
        }),
      close: () => handle.close(),
    };
    if (length > file.bytes) await partial.restart(undefined);
    return partial;
  });
}

export function strongTag(tag: string | null): string | undefined {
  return tag !== null && tag.length <= MAX_TAG && /^"[\x21\x23-\x7e]*"$/.test(tag) ? tag : undefined;
}

async function hashOf(path: string, { hash, bytes }: HubFile): Promise<string> {
  const state = createHash(hash.kind === 'sha256' ? 'sha256' : 'sha1');
  if (hash.kind === 'git-sha1') state.update(`blob ${bytes}\0`);
  return disk('reading a download', async () => {
    for await (const piece of createReadStream(path)) state.update(piece as Buffer);
    return state.digest('hex');
  });
}
