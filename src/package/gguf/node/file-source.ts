/** A file on the disk as a `ByteSource`. */
import { open } from 'node:fs/promises';
import { IsthmusError } from '../../../errors.ts';
import type { ByteSource } from '../byte-source.ts';

export interface FileSource extends ByteSource {
  close(): Promise<void>;
}

/** Throws `bad-model` when there is no file at `path`; reads throw `storage-failed`. */
export async function openFileSource(path: string): Promise<FileSource> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw new IsthmusError('bad-model', `there is no readable file at ${path}`, { cause });
  });
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw new IsthmusError('bad-model', `${path} is not a file`);
    return {
      size: status.size,
      async read(offset, length) {
        const bytes = new Uint8Array(length);
        let at = 0;
        try {
          while (at < length) {
            const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
            if (bytesRead === 0) break;
            at += bytesRead;
          }
        } catch (cause) {
          throw new IsthmusError('storage-failed', `${path} could not be read`, { cause });
        }
        return bytes.subarray(0, at);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
