/** Compressed forms of what is asked for again and again, made once each and kept while there is room. */
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Coding } from './content-coding.ts';

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);

/**
 * Of the two best that Brotli and gzip have: the last steps of Brotli take fifteen times as long for a seventh less (a
 * tokenizer of 1.5 MB: 0.16 s and 409 kB, 2.4 s and 356 kB).
 */
const BROTLI_QUALITY = 9;
const GZIP_LEVEL = 9;

/** All that a page and some packages have that can be compressed; who serves more has the rest made anew. */
export const MAX_KEPT_BYTES = 64 * 2 ** 20;

export interface Compressor {
  /**
   * `load`'s bytes in that coding. Runs beside the event loop, on Node's pool of threads. Rejects with what `load`
   * throws; that is asked for anew the next time.
   * @param key stands for the content, and for nothing else
   */
  compressed(key: string, coding: Coding, load: () => Promise<Uint8Array>): Promise<Uint8Array>;
}

export function createCompressor(maxKeptBytes = MAX_KEPT_BYTES): Compressor {
  /** The one that was asked for the longest ago first. */
  const kept = new Map<string, { readonly made: Promise<Uint8Array>; bytes: number }>();
  let total = 0;
  const forget = (name: string): void => {
    total -= kept.get(name)?.bytes ?? 0;
    kept.delete(name);
  };
  return {
    async compressed(key, coding, load) {
      const name = `${coding} ${key}`;
      const known = kept.get(name);
      if (known !== undefined) {
        kept.delete(name);
        kept.set(name, known);
        return known.made;
      }
      const entry = { made: load().then((content) => compress(content, coding)), bytes: 0 };
      kept.set(name, entry);
      try {
        const { byteLength } = await entry.made;
        if (kept.get(name) === entry) {
          entry.bytes = byteLength;
          total += byteLength;
        }
      } catch (error) {
        if (kept.get(name) === entry) forget(name);
        throw error;
      }
      for (const oldest of kept.keys()) {
        if (total <= maxKeptBytes) break;
        forget(oldest);
      }
      return entry.made;
    },
  };
}

function compress(content: Uint8Array, coding: Coding): Promise<Uint8Array> {
  if (coding === 'gzip') return zip(content, { level: GZIP_LEVEL });
  return brotli(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.byteLength,
    },
  });
}
