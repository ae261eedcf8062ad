/**
 * One element of a stored tensor at a time, written from the layouts in `ggml-common.h` as formulas of the
 * element's index: slow, and in no common form with the loops that it tests.
 */
import { TENSOR_TYPES, type TensorType } from '../../../src/package/gguf/tensor-types.ts';

/** Binary16 by its definition, from the two bytes at `at`. */
function half(raw: Uint8Array, at: number): number {
  const bits = (raw[at] ?? 0) + 256 * (raw[at + 1] ?? 0);
  const sign = bits >= 32768 ? -1 : 1;
  const exponent = Math.floor(bits / 1024) % 32;
  const fraction = (bits % 1024) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}

/** `count` bits from bit `from` on of the bytes at `at`, the lowest first. */
function bits(raw: Uint8Array, at: number, from: number, count: number): number {
  let value = 0;
  for (let bit = 0; bit < count; bit += 1) {
    const place = from + bit;
    value +=
      ((Math.floor((raw[at + Math.floor(place / 8)] ?? 0) / 2 ** (place % 8)) % 2) as 0 | 1) * 2 ** bit;
  }
  return value;
}

const signed = (byte: number): number => (byte >= 128 ? byte - 256 : byte);

/** Element `i` of 32: nibble `i % 16`, low for the first 16. */
const nibble32 = (raw: Uint8Array, at: number, i: number): number =>
  bits(raw, at, (i % 16) * 8 + (i >= 16 ? 4 : 0), 4);

/** Element `i` of 256, 64 of them in 32 bytes: low nibbles first. */
const nibble256 = (raw: Uint8Array, at: number, i: number): number =>
  bits(raw, at + 32 * Math.floor(i / 64), (i % 32) * 8 + (i % 64 >= 32 ? 4 : 0), 4);

/** Six-bit scale (`which` 0) or minimum (1) of group `g` of 8. */
function scale6(raw: Uint8Array, at: number, g: number, which: 0 | 1): number {
  if (g < 4) return bits(raw, at + 4 * which + g, 0, 6);
  return bits(raw, at + 8 + g - 4, 4 * which, 4) + 16 * bits(raw, at + 4 * which + g - 4, 6, 2);
}

function ofBlock(type: TensorType, raw: Uint8Array, i: number): number {
  const d = half(raw, 0);
  const group = Math.floor(i / 32);
  switch (type) {
    case 'F32':
      return new DataView(raw.buffer, raw.byteOffset).getFloat32(0, true);
    case 'F16':
      return d;
    case 'BF16': {
      const wide = Uint8Array.of(0, 0, raw[0] ?? 0, raw[1] ?? 0);
      return new DataView(wide.buffer).getFloat32(0, true);
    }
    case 'Q4_0':
      return d * (nibble32(raw, 2, i) - 8);
    case 'Q4_1':
      return d * nibble32(raw, 4, i) + half(raw, 2);
    case 'Q5_0':
      return d * (nibble32(raw, 6, i) + 16 * bits(raw, 2, i, 1) - 16);
    case 'Q5_1':
      return d * (nibble32(raw, 8, i) + 16 * bits(raw, 4, i, 1)) + half(raw, 2);
    case 'Q8_0':
      return d * signed(raw[2 + i] ?? 0);
    case 'Q4_K':
      return d * scale6(raw, 4, group, 0) * nibble256(raw, 16, i) - half(raw, 2) * scale6(raw, 4, group, 1);
    case 'Q5_K': {
      const q = nibble256(raw, 48, i) + 16 * bits(raw, 16 + (i % 32), group, 1);
      return d * scale6(raw, 4, group, 0) * q - half(raw, 2) * scale6(raw, 4, group, 1);
    }
    case 'Q6_K': {
      const run = Math.floor((i % 128) / 32);
      const byte = 64 * Math.floor(i / 128) + (i % 64);
      const low = bits(raw, byte, run >= 2 ? 4 : 0, 4);
      const high = bits(raw, 128 + 32 * Math.floor(i / 128) + (i % 32), 2 * run, 2);
      return half(raw, 208) * signed(raw[192 + Math.floor(i / 16)] ?? 0) * (low + 16 * high - 32);
    }
  }
}

/** Rounded to float32 once. */
export function slowElement(type: TensorType, raw: Uint8Array, index: number): number {
  const { elements, bytes } = TENSOR_TYPES[type];
  const at = Math.floor(index / elements) * bytes;
  return Math.fround(ofBlock(type, raw.subarray(at, at + bytes), index % elements));
}
