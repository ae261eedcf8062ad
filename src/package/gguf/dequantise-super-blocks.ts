/**
 * The K types: super-blocks of 256 elements with scales of their own for each 32 (Q4_K, Q5_K) or 16 (Q6_K).
 * Layouts are those of `ggml-common.h` (`block_q4_K` and so on).
 */
import { halfTable } from './half-table.ts';

const at16 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) | ((bytes[at + 1] as number) << 8);

/**
 * Eight scales to `scales[0..7]` and eight minima to `scales[8..15]`, of six bits each, from 12 bytes: four
 * bytes hold scales 0 to 3 and the upper two bits of scales 4 to 7, four hold the same of the minima,
 * and the last four the lower four bits of scales 4 to 7 (low) and of minima 4 to 7 (high).
 */
function unpackScales(bytes: Uint8Array, at: number, scales: Uint8Array): void {
  for (let j = 0; j < 4; j += 1) {
    const scale = bytes[at + j] as number;
    const minimum = bytes[at + 4 + j] as number;
    const rest = bytes[at + 8 + j] as number;
    scales[j] = scale & 63;
    scales[j + 8] = minimum & 63;
    scales[j + 4] = (rest & 15) | ((scale >> 6) << 4);
    scales[j + 12] = (rest >> 4) | ((minimum >> 6) << 4);
  }
}

/** `{ d, dmin, scales[12], nibbles[128] }`, 144 bytes: `d * scale * q - dmin * minimum`. */
export function q4k(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  const scales = new Uint8Array(16);
  for (let at = 0, i = 0; i < out.length; at += 144, i += 256) {
    const d = half[at16(bytes, at)] as number;
    const dmin = half[at16(bytes, at + 2)] as number;
    unpackScales(bytes, at + 4, scales);
    for (let group = 0; group < 4; group += 1) {
      const low = d * (scales[2 * group] as number);
      const lowMin = dmin * (scales[8 + 2 * group] as number);
      const high = d * (scales[2 * group + 1] as number);
      const highMin = dmin * (scales[9 + 2 * group] as number);
      const from = at + 16 + 32 * group;
      const to = i + 64 * group;
      for (let j = 0; j < 32; j += 1) {
        const pair = bytes[from + j] as number;
        out[to + j] = low * (pair & 15) - lowMin;
        out[to + j + 32] = high * (pair >> 4) - highMin;
      }
    }
  }
}

/**
 * `{ d, dmin, scales[12], fifth[32], nibbles[128] }`, 176 bytes: as Q4_K, with bit `b` of `fifth[j]` the
 * fifth bit of element `32 b + j`.
 */
export function q5k(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  const scales = new Uint8Array(16);
  for (let at = 0, i = 0; i < out.length; at += 176, i += 256) {
    const d = half[at16(bytes, at)] as number;
    const dmin = half[at16(bytes, at + 2)] as number;
    unpackScales(bytes, at + 4, scales);
    for (let group = 0; group < 4; group += 1) {
      const low = d * (scales[2 * group] as number);
      const lowMin = dmin * (scales[8 + 2 * group] as number);
      const high = d * (scales[2 * group + 1] as number);
      const highMin = dmin * (scales[9 + 2 * group] as number);
      const from = at + 48 + 32 * group;
      const to = i + 64 * group;
      for (let j = 0; j < 32; j += 1) {
        const pair = bytes[from + j] as number;
        const fifth = (bytes[at + 16 + j] as number) >> (2 * group);
        out[to + j] = low * ((pair & 15) | ((fifth & 1) << 4)) - lowMin;
        out[to + j + 32] = high * ((pair >> 4) | ((fifth & 2) << 3)) - highMin;
      }
    }
  }
}

/**
 * `{ lower[128], upper[64], signed scales[16], d }`, 210 bytes: `d * scale * (q - 32)`. Each half of 128
 * elements is four runs of 32: `lower` holds runs 0 and 2 in its low and high nibbles and then 1 and
 * 3, `upper` the fifth and sixth bits of all four.
 */
export function q6k(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0, i = 0; i < out.length; at += 210, i += 256) {
    const d = half[at16(bytes, at + 208)] as number;
    for (let run = 0; run < 8; run += 1) {
      const second = run >> 2;
      const place = run & 3;
      const lower = at + 64 * second + 32 * (place & 1);
      const upper = at + 128 + 32 * second;
      const shift = place >= 2 ? 4 : 0;
      for (let j = 0; j < 32; j += 1) {
        const scale = d * (signed[at + 192 + 2 * run + (j >> 4)] as number);
        const low = ((bytes[lower + j] as number) >> shift) & 15;
        const high = ((bytes[upper + j] as number) >> (2 * place)) & 3;
        out[i + 32 * run + j] = scale * ((low | (high << 4)) - 32);
      }
    }
  }
}
