/** Random access to a file that need not be here: on a disk, in memory, or behind HTTP ranges. */
import { IsthmusError } from '../../errors.ts';

export interface ByteSource {
  /** Bytes of the whole file. */
  readonly size: number;
  /** Exactly `length` bytes from `offset` on; never asked beyond `size`. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A file that is in memory already; reads are views, not copies. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.byteLength,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}

/** Reads and holds the source to its word. Throws `bad-model` when it gives other than it was asked for. */
export async function readExactly(source: ByteSource, offset: number, length: number): Promise<Uint8Array> {
  const bytes = await source.read(offset, length);
  if (bytes.byteLength !== length) {
    throw new IsthmusError(
      'bad-model',
      `the file changed: ${length} bytes at ${offset} are no longer there`,
      {
        details: { offset, length, got: bytes.byteLength },
      },
    );
  }
  return bytes;
}
