/**
 * Reads a GGUF header from front to back through a window, so that only the header is fetched and a
 * hostile length allocates nothing that the file does not have.
 *
 * `need(n)` makes sure that `n` bytes are in the window; what takes bytes is synchronous, since a
 * header has hundreds of thousands of values.
 */
import { IsthmusError } from '../../errors.ts';
import { type ByteSource, readExactly } from './byte-source.ts';
import { MAX_HEADER_BYTES } from './gguf-limits.ts';

/** One request over a network, or one read of a disk; most headers take two to six. */
const WINDOW_BYTES = 2 ** 20;

export class HeaderCursor {
  readonly #source: ByteSource;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #window = new Uint8Array();
  #view = new DataView(new ArrayBuffer(0));
  #start = 0;
  #at = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** In the file, of the next byte. */
  get offset(): number {
    return this.#start + this.#at;
  }

  /** Bytes of the file that were not taken yet. */
  get left(): number {
    return this.#source.size - this.offset;
  }

  /** Whether the window holds the next `bytes`: spares an `await` in loops. */
  has(bytes: number): boolean {
    return this.#window.byteLength - this.#at >= bytes;
  }

  /** Throws `bad-model` when the file ends before, `limit-exceeded` when the header grows too long. */
  async need(bytes: number): Promise<void> {
    if (this.has(bytes)) return;
    const offset = this.offset;
    if (bytes > this.left) {
      throw new IsthmusError('bad-model', `the GGUF is truncated: its header goes on beyond its end`, {
        details: { offset, needed: bytes, size: this.#source.size },
      });
    }
    if (offset + bytes > MAX_HEADER_BYTES) {
      throw new IsthmusError('limit-exceeded', `the GGUF's header exceeds ${MAX_HEADER_BYTES} bytes`, {
        details: { offset, needed: bytes, bound: MAX_HEADER_BYTES },
      });
    }
    const kept = this.#window.subarray(this.#at);
    const length = Math.min(this.left, Math.max(bytes, WINDOW_BYTES));
    const window = new Uint8Array(length);
    window.set(kept);
    const more = await readExactly(this.#source, offset + kept.byteLength, length - kept.byteLength);
    window.set(more, kept.byteLength);
    this.#window = window;
    this.#view = new DataView(window.buffer);
    this.#start = offset;
    this.#at = 0;
  }

  /** Takes one number of `bytes` width with the given method of DataView; little-endian. */
  take<T>(bytes: number, get: (view: DataView, at: number) => T): T {
    const value = get(this.#view, this.#at);
    this.#at += bytes;
    return value;
  }

  u32(): number {
    return this.take(4, (view, at) => view.getUint32(at, true));
  }

  /** A count, length or offset. Throws `bad-model` beyond what any file can hold. */
  size(): number {
    const value = Number(this.take(8, (view, at) => view.getBigUint64(at, true)));
    if (Number.isSafeInteger(value)) return value;
    throw new IsthmusError('bad-model', `the GGUF gives ${value} as a count or length`);
  }

  /** Throws `bad-model` for bytes that are not UTF-8. A byte order mark is kept: it may be a token. */
  text(bytes: number): string {
    const from = this.#at;
    this.#at += bytes;
    try {
      return this.#utf8.decode(this.#window.subarray(from, this.#at));
    } catch (cause) {
      throw new IsthmusError('bad-model', 'the GGUF holds a string that is not UTF-8', { cause });
    }
  }

  /** A string with its length before it when the window holds both; else undefined, and nothing is taken. */
  stringIfHere(): string | undefined {
    if (!this.has(8)) return undefined;
    const from = this.#at;
    const length = this.size();
    if (this.has(length)) return this.text(length);
    this.#at = from;
    return undefined;
  }
}

/** A string with its length before it. Throws `bad-model`, `limit-exceeded`. */
export async function takeString(cursor: HeaderCursor, bound = MAX_HEADER_BYTES): Promise<string> {
  if (!cursor.has(8)) await cursor.need(8);
  const length = cursor.size();
  if (length > bound && length <= cursor.left) {
    throw new IsthmusError('limit-exceeded', `the GGUF has a name of ${length} bytes; the bound is ${bound}`);
  }
  if (!cursor.has(length)) await cursor.need(length);
  return cursor.text(length);
}
