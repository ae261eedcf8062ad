/** Feeds that kernels read memory by: whatever comes over a link, no number is taken that leads out of a table. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { int64Tensor, type Tensor } from '../../../src/core/tensor.ts';
import { intFeed } from '../../../src/runtime/rows/feeds.ts';
import type { Rows } from '../../../src/runtime/rows/program.ts';
import { rowsOfFeed } from '../../../src/runtime/rows/span.ts';

const bad = expect.objectContaining({ code: 'bad-tensor', details: expect.objectContaining({ name: 'x' }) });

function int32(values: readonly number[]): Tensor {
  return { dtype: 'int32', dims: [values.length], bytes: new Uint8Array(Int32Array.from(values).buffer) };
}

describe('whole numbers', () => {
  it('are taken from 0 up to the bound, in either type and at any alignment', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(999)), fc.nat(9), (values, shift) => {
        for (const tensor of [int64Tensor(values, [values.length]), int32(values)]) {
          const moved = new Uint8Array(tensor.bytes.byteLength + shift).subarray(shift);
          moved.set(tensor.bytes);
          expect(intFeed('x', { x: { ...tensor, bytes: moved } }, 1000)).toEqual(values);
        }
      }),
    );
  });

  it.each([-1n, 10n, 2n ** 31n, 2n ** 32n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n])(
    'are not %s',
    (value) => {
      const feeds = { x: int64Tensor([3n, value, 4n], [3]) };
      expect(() => intFeed('x', feeds, 10)).toThrow(bad);
    },
  );

  it('have a bound even where none is known', () => {
    expect(() => intFeed('x', { x: int64Tensor([-1n], [1]) })).toThrow(bad);
    expect(() => intFeed('x', { x: int64Tensor([2n ** 53n], [1]) })).toThrow(bad);
  });

  it('are refused in any other type, or where there are none', () => {
    for (const dtype of ['float32', 'uint8', 'int8', 'bool', 'uint64'] as const) {
      expect(() => intFeed('x', { x: { dtype, dims: [8], bytes: new Uint8Array(64) } })).toThrow(bad);
    }
    expect(() => intFeed('x', { y: int32([1]) })).toThrow(bad);
  });
});

describe('rows that crossed', () => {
  const rows: Rows = { buffer: { id: 1, rowBytes: 32 }, width: 8, dtype: 'float32' };
  const tensor = (dims: readonly number[], dtype: 'float32' | 'int8' = 'float32'): Tensor => {
    const count = dims.reduce((a, b) => a * b, 1);
    return { dtype, dims, bytes: new Uint8Array(count * (dtype === 'int8' ? 1 : 4)) };
  };

  it('are taken as they are', () => {
    const given = tensor([1, 5, 8]);
    expect(rowsOfFeed('x', { x: given }, rows, 5)).toBe(given.bytes);
    const codes = tensor([1, 5, 8], 'int8');
    expect(rowsOfFeed('x', { x: codes }, { ...rows, dtype: 'int8' }, 5)).toBe(codes.bytes);
  });

  it.each([
    ['of another count', { x: tensor([1, 4, 8]) }],
    ['of another width', { x: tensor([1, 5, 4]) }],
    ['of another rank', { x: tensor([5, 8]) }],
    ['of a batch', { x: tensor([2, 5, 8]) }],
    ['of another type', { x: tensor([1, 5, 8], 'int8') }],
    ['that are missing', {}],
  ])('are refused: rows %s', (_, given) => {
    expect(() => rowsOfFeed('x', given, rows, 5)).toThrow(bad);
  });
});
