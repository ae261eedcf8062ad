/** Products against plain loops: sums of whole numbers are exact, so the results are equal to the bit. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { paddedInner } from '../../../src/runtime/rows/program.ts';
import { KernelBench, uniform } from '../../fixtures/kernel-bench.ts';

let bench: KernelBench;

beforeAll(async () => {
  bench = await KernelBench.open();
});

interface Product {
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  readonly value: (row: number, index: number) => number;
  readonly weight: (index: number, column: number) => number;
}

/** What the kernel makes, and what loops over the same numbers make. */
function both({ rows, inner, columns, value, weight }: Product): [Float32Array, Float32Array] {
  const random = uniform(rows * 7919 + inner * 31 + columns);
  const padded = paddedInner(inner);
  const values = new Int16Array(rows * padded);
  const matrix = Int8Array.from({ length: inner * columns }, (_, at) =>
    weight(Math.floor(at / columns), at % columns),
  );
  const largest = Float32Array.from({ length: rows }, () => random() * 3);
  const scales = Float32Array.from({ length: columns }, () => random() / 100);
  const wanted = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let index = 0; index < inner; index += 1) values[row * padded + index] = value(row, index);
    for (let column = 0; column < columns; column += 1) {
      let sum = 0;
      for (let index = 0; index < inner; index += 1) {
        sum += (values[row * padded + index] ?? 0) * (matrix[index * columns + column] ?? 0);
      }
      const scaled = Math.fround(Math.fround(sum) * (scales[column] ?? 0));
      wanted[row * columns + column] = scaled * (largest[row] ?? 0);
    }
  }
  const out = bench.put(new Float32Array(rows * columns + 16).fill(7));
  const at = [values, largest].map((array) => bench.put(array));
  const packed = bench.matrix(matrix, inner, columns);
  const scalesAt = bench.put(scales);
  bench.run('product', [...at, packed, scalesAt, out, columns, padded], { rows });
  const made = bench.floats(out, rows * columns + 16);
  for (const place of [...at, packed, scalesAt, out]) bench.heap.give(place);
  // Nothing is written behind the last row.
  expect([...made.subarray(rows * columns)]).toEqual(new Array(16).fill(7));
  return [made.subarray(0, rows * columns), wanted];
}

const shape = {
  rows: fc.integer({ min: 1, max: 9 }),
  columns: fc.integer({ min: 1, max: 70 }),
  inner: fc.integer({ min: 1, max: 300 }),
};

describe('a product', () => {
  it('is what plain loops make, for any numbers', () => {
    fc.assert(
      fc.property(fc.record({ ...shape, seed: fc.nat() }), ({ seed, ...of }) => {
        const random = uniform(seed);
        const any = (): number => Math.floor(random() * 255) - 127;
        const [made, wanted] = both({ ...of, value: any, weight: any });
        expect(made).toEqual(wanted);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    [127, -127],
    [-127, -127],
    [127, 127],
    [-127, -128],
  ])('neither overflows nor saturates: %i times %i', (value, weight) => {
    for (const inner of [1, 15, 16, 17, 64, 1000, 4096]) {
      for (const rows of [1, 2, 3, 4, 5, 6]) {
        const [made, wanted] = both({ rows, inner, columns: 6, value: () => value, weight: () => weight });
        expect(made).toEqual(wanted);
      }
    }
  });

  it('keeps apart every row, column and element', () => {
    fc.assert(
      fc.property(fc.record(shape), fc.nat(), fc.nat(), fc.nat(), (of, row, index, column) => {
        const at = [row % of.rows, index % of.inner, column % of.columns];
        const [made] = both({
          ...of,
          value: (y, x) => (y === at[0] && x === at[1] ? 1 : 0),
          weight: (x, y) => (x === at[1] && y === at[2] ? 127 : 0),
        });
        const hit = (at[0] ?? 0) * of.columns + (at[2] ?? 0);
        expect(made.findIndex((number) => number !== 0)).toBe(hit);
        expect(made.findLastIndex((number) => number !== 0)).toBe(hit);
      }),
    );
  });
});
