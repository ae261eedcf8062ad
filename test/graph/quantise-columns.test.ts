import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isIsthmusError } from '../../src/errors.ts';
import { quantiseColumns } from '../../src/graph/quantise-columns.ts';

const FLOAT = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1000, max: 1000 });

it('is off by half a step of the column at most, and turned', () => {
  const matrices = fc
    .tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 20 }))
    .chain(([columns, inner]) =>
      fc.record({
        columns: fc.constant(columns),
        inner: fc.constant(inner),
        rows: fc.array(FLOAT, { minLength: columns * inner, maxLength: columns * inner }),
      }),
    );
  fc.assert(
    fc.property(matrices, ({ columns, inner, rows }) => {
      const { data, scales } = quantiseColumns(Float32Array.from(rows), columns, inner);
      expect(data.length).toBe(rows.length);
      for (let column = 0; column < columns; column += 1) {
        const scale = scales[column] ?? Number.NaN;
        const mine = rows.slice(column * inner, (column + 1) * inner);
        expect(scale).toBeCloseTo(Math.max(...mine.map(Math.abs)) / 127, 4);
        for (const [index, weight] of mine.entries()) {
          const value = (data[index * columns + column] ?? Number.NaN) * scale;
          expect(Math.abs(value - weight)).toBeLessThanOrEqual(scale * 0.5001 + 1e-30);
        }
      }
    }),
  );
});

it('leaves a column of zeros at zero', () => {
  const { data, scales } = quantiseColumns(Float32Array.of(0, 0, 1, -2), 2, 2);
  expect([...data]).toEqual([0, 64, 0, -127]);
  expect([...scales]).toEqual([0, Math.fround(2 / 127)]);
});

it.each([
  ['not finite', Float32Array.of(1, Number.POSITIVE_INFINITY), 1, 2],
  ['no number', Float32Array.of(1, Number.NaN), 1, 2],
  ['another size', Float32Array.of(1, 2, 3), 1, 2],
])('refuses weights that are %s', (_, rows, columns, inner) => {
  expect(() => quantiseColumns(rows, columns, inner)).toThrow(
    expect.toSatisfy((error: unknown) => isIsthmusError(error) && error.code === 'bad-model'),
  );
});
