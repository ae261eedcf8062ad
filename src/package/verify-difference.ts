/** How far two sets of tensors are apart. */
import { alignedBytes, type Tensor, type TensorMap } from '../core/tensor.ts';

/** Stands for "not comparable"; JSON has no infinity. */
export const INCOMPARABLE = Number.MAX_VALUE;

export interface Difference {
  /** Largest absolute difference of 32- and 64-bit floats. */
  readonly floats: number;
  /** Of everything else 0 when all bytes agree, else `INCOMPARABLE`. */
  readonly others: number;
}

export function largestDifference(expected: TensorMap, got: TensorMap): Difference {
  let floats = 0;
  let others = 0;
  const names = new Set([...Object.keys(expected), ...Object.keys(got)]);
  for (const name of names) {
    const a = expected[name];
    const b = got[name];
    if (a === undefined || b === undefined || a.dtype !== b.dtype || a.dims.join() !== b.dims.join()) {
      return { floats: INCOMPARABLE, others: INCOMPARABLE };
    }
    const x = floatsOf(a);
    const y = floatsOf(b);
    if (x !== undefined && y !== undefined) floats = Math.max(floats, largestOf(x, y));
    else if (a.bytes.some((byte, index) => byte !== b.bytes[index])) others = INCOMPARABLE;
  }
  return { floats, others };
}

export type Floats = Float32Array | Float64Array;

function floatsOf(tensor: Tensor): Floats | undefined {
  if (tensor.dtype !== 'float32' && tensor.dtype !== 'float64') return undefined;
  const width = tensor.dtype === 'float32' ? 4 : 8;
  const bytes = alignedBytes(tensor.bytes, width);
  const make = tensor.dtype === 'float32' ? Float32Array : Float64Array;
  return new make(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / width);
}

/** Largest absolute difference of numbers in the same places; `INCOMPARABLE` where one side has none. */
export function largestOf(x: Floats, y: Floats): number {
  if (x.length !== y.length) return INCOMPARABLE;
  let largest = 0;
  for (let i = 0; i < x.length; i += 1) {
    const a = x[i] ?? 0;
    const b = y[i] ?? 0;
    // Equal infinities (masked scores) and equal NaNs differ by nothing.
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const difference = Math.abs(a - b);
    if (!(difference <= INCOMPARABLE)) return INCOMPARABLE;
    largest = Math.max(largest, difference);
  }
  return largest;
}
