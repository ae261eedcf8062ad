/**
 * The simple quantised types: blocks of 32 elements with one float16 scale `d` and, in the types that end
 * in 1, a float16 minimum `m`. Layouts are those of `ggml-common.h` (`block_q4_0` and so on): the low
 * halves of the 16 bytes of nibbles are elements 0 to 15, the high halves 16 to 31; of five-bit types the
 * fifth bits stand in a word of 32 before them.
 */
import { halfTable } from './half-table.ts';

const at16 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) | ((bytes[at + 1] as number) << 8);

const at32 = (bytes: Uint8Array, at: number): number => at16(bytes, at) | (at16(bytes, at + 2) << 16);

/** `{ d, nibbles[16] }`, 18 bytes: `d * (q - 8)`. */
export function q4x0(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  for (let at = 0, i = 0; i < out.length; at += 18, i += 32) {
    const d = half[at16(bytes, at)] as number;
    for (let j = 0; j < 16; j += 1) {
      const pair = bytes[at + 2 + j] as number;
      out[i + j] = d * ((pair & 15) - 8);
      out[i + j + 16] = d * ((pair >> 4) - 8);
    }
  }
}

/** `{ d, m, nibbles[16] }`, 20 bytes: `d * q + m`. */
export function q4x1(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  for (let at = 0, i = 0; i < out.length; at += 20, i += 32) {
    const d = half[at16(bytes, at)] as number;
    const m = half[at16(bytes, at + 2)] as number;
    for (let j = 0; j < 16; j += 1) {
      const pair = bytes[at + 4 + j] as number;
      out[i + j] = d * (pair & 15) + m;
      out[i + j + 16] = d * (pair >> 4) + m;
    }
  }
}

/** `{ d, fifth[4], nibbles[16] }`, 22 bytes: `d * (q - 16)`. */
export function q5x0(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  for (let at = 0, i = 0; i < out.length; at += 22, i += 32) {
    const d = half[at16(bytes, at)] as number;
    const fifth = at32(bytes, at + 2);
    for (let j = 0; j < 16; j += 1) {
      const pair = bytes[at + 6 + j] as number;
      out[i + j] = d * (((pair & 15) | (((fifth >>> j) & 1) << 4)) - 16);
      out[i + j + 16] = d * (((pair >> 4) | (((fifth >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

/** `{ d, m, fifth[4], nibbles[16] }`, 24 bytes: `d * q + m`. */
export function q5x1(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  for (let at = 0, i = 0; i < out.length; at += 24, i += 32) {
    const d = half[at16(bytes, at)] as number;
    const m = half[at16(bytes, at + 2)] as number;
    const fifth = at32(bytes, at + 4);
    for (let j = 0; j < 16; j += 1) {
      const pair = bytes[at + 8 + j] as number;
      out[i + j] = d * ((pair & 15) | (((fifth >>> j) & 1) << 4)) + m;
      out[i + j + 16] = d * ((pair >> 4) | (((fifth >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

/** `{ d, signed[32] }`, 34 bytes: `d * q`. */
export function q8x0(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0, i = 0; i < out.length; at += 34, i += 32) {
    const d = half[at16(bytes, at)] as number;
    for (let j = 0; j < 32; j += 1) out[i + j] = d * (signed[at + 2 + j] as number);
  }
}
