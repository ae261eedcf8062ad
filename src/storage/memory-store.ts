/** Keeps blobs for as long as the page or process lives: the fallback where nothing else works. */
import { type BlobStore, checkKey, storeClosed, wrongOffset } from './blob-store.ts';

export function createMemoryStore(): BlobStore {
  const blobs = new Map<string, Uint8Array>();
  const partials = new Map<string, Uint8Array[]>();
  let closed = false;

  function check(key: string): void {
    if (closed) throw storeClosed();
    checkKey(key);
  }
  function chunksOf(key: string): Uint8Array[] {
    return partials.get(key) ?? [];
  }

  return {
    // Copies on both ways: a caller may change or transfer its buffer, and the store must not notice.
    async get(key) {
      check(key);
      const found = blobs.get(key);
      return found && new Uint8Array(found);
    },
    async has(key) {
      check(key);
      return blobs.has(key);
    },
    async put(key, bytes) {
      check(key);
      blobs.set(key, bytes.slice());
      partials.delete(key);
    },
    async delete(key) {
      check(key);
      blobs.delete(key);
      partials.delete(key);
    },
    async holdings() {
      if (closed) throw storeClosed();
      const found = new Map<string, 'whole' | number>();
      for (const [key, chunks] of partials) {
        const length = lengthOf(chunks);
        if (length > 0) found.set(key, length);
      }
      for (const key of blobs.keys()) found.set(key, 'whole');
      return found;
    },
    async bytes() {
      if (closed) throw storeClosed();
      return lengthOf(blobs.values()) + lengthOf([...partials.values()].flat());
    },
    async partialLength(key) {
      check(key);
      return lengthOf(chunksOf(key));
    },
    async appendPartial(key, offset, chunk) {
      check(key);
      const chunks = chunksOf(key);
      const length = lengthOf(chunks);
      if (offset !== length) throw wrongOffset(key, offset, length);
      partials.set(key, [...chunks, chunk.slice()]);
    },
    async *readPartial(key) {
      check(key);
      for (const chunk of chunksOf(key)) yield chunk.slice();
    },
    async finishPartial(key, length) {
      check(key);
      const chunks = chunksOf(key);
      if (lengthOf(chunks) !== length) throw wrongOffset(key, length, lengthOf(chunks));
      const whole = new Uint8Array(length);
      let at = 0;
      for (const chunk of chunks) {
        whole.set(chunk, at);
        at += chunk.byteLength;
      }
      blobs.set(key, whole);
      partials.delete(key);
    },
    async close() {
      closed = true;
      blobs.clear();
      partials.clear();
    },
  };
}

function lengthOf(chunks: Iterable<Uint8Array>): number {
  let sum = 0;
  for (const chunk of chunks) sum += chunk.byteLength;
  return sum;
}
