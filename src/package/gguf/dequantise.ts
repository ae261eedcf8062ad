/** Stored tensors to float32, by their type. Memory is little-endian on all that runs JavaScript. */
import { IsthmusError } from '../../errors.ts';
import { q4x0, q4x1, q5x0, q5x1, q8x0 } from './dequantise-blocks.ts';
import { q4k, q5k, q6k } from './dequantise-super-blocks.ts';
import { halfTable } from './half-table.ts';
import { storedBytes, TENSOR_TYPES, type TensorType } from './tensor-types.ts';

/** Fills `out` from whole blocks in `bytes`. Each value is rounded to float32 once, at the end. */
export type Dequantise = (bytes: Uint8Array, out: Float32Array) => void;

const DEQUANTISE: Readonly<Record<TensorType, Dequantise>> = {
  F32: (bytes, out) => {
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
  },
  F16: (bytes, out) => {
    const half = halfTable();
    for (let i = 0, at = 0; i < out.length; i += 1, at += 2) {
      out[i] = half[(bytes[at] as number) | ((bytes[at + 1] as number) << 8)] as number;
    }
  },
  BF16: (bytes, out) => {
    // The upper half of a float32's bits.
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0, at = 0; i < bits.length; i += 1, at += 2) {
      bits[i] = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 24);
    }
  },
  Q4_0: q4x0,
  Q4_1: q4x1,
  Q5_0: q5x0,
  Q5_1: q5x1,
  Q8_0: q8x0,
  Q4_K: q4k,
  Q5_K: q5k,
  Q6_K: q6k,
};

/**
 * @param bytes whole rows as the file has them; any alignment
 * @param count elements; whole blocks. Throws `bad-model` when the bytes are not those of `count` elements.
 */
export function dequantiseRows(
  type: TensorType,
  bytes: Uint8Array,
  count: number,
): Float32Array<ArrayBuffer> {
  if (count % TENSOR_TYPES[type].elements !== 0 || bytes.byteLength !== storedBytes(type, count)) {
    throw new IsthmusError('bad-model', `${bytes.byteLength} bytes are not ${count} elements of ${type}`);
  }
  const out = new Float32Array(count);
  DEQUANTISE[type](bytes, out);
  return out;
}
