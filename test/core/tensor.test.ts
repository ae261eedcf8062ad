import { describe, expect, it } from 'vitest';
import {
  alignedBytes,
  asFloat32,
  byteLengthOf,
  elementCount,
  float32Tensor,
  int64Tensor,
  MAX_RANK,
  makeTensor,
} from '../../src/core/tensor.ts';

describe('tensors', () => {
  it('have exactly the bytes that shape and dtype call for', () => {
    expect(makeTensor('float32', [2, 3], new Uint8Array(24)).dims).toEqual([2, 3]);
    expect(() => makeTensor('float32', [2, 3], new Uint8Array(23))).toThrow('takes 24 bytes, not 23');
    expect(int64Tensor([1, 2n], [2]).bytes).toHaveLength(16);
    expect(elementCount([])).toBe(1);
    expect(elementCount([4, 0, 2])).toBe(0);
  });

  it.each([[[-1]], [[1.5]], [[Number.NaN]], [[2 ** 53]], [[2 ** 30, 2 ** 30]]])(
    'refuse the shape %j',
    (dims) => {
      expect(() => elementCount(dims)).toThrow(expect.objectContaining({ code: 'bad-tensor' }));
    },
  );

  it('refuse extents that are no numbers, also such as cannot be shown', () => {
    const hostile = [{ toString: 0 }] as unknown as number[];
    expect(() => elementCount(hostile)).toThrow(expect.objectContaining({ code: 'bad-tensor' }));
  });

  it('refuse too many axes and too many bytes', () => {
    expect(() => elementCount(Array.from({ length: MAX_RANK + 1 }, () => 1))).toThrow('rank');
    expect(() => byteLengthOf('float64', [2 ** 28])).toThrow('exceeds the bound');
  });

  it('are read at any alignment, from a Node buffer too', () => {
    const values = Float32Array.from([1, -2.5, 3]);
    const shifted = Buffer.alloc(13);
    shifted.set(new Uint8Array(values.buffer), 1);
    const tensor = makeTensor('float32', [3], shifted.subarray(1));
    expect([...asFloat32(tensor)]).toEqual([1, -2.5, 3]);
    expect(alignedBytes(tensor.bytes, 4).byteOffset % 4).toBe(0);
    expect(asFloat32(float32Tensor(values, [3]))).toEqual(values);
  });
});
