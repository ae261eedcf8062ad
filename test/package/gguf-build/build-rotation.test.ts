import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hadamardMatrix, powerOfTwoIn, rotation } from '../../../src/package/gguf/build-rotation.ts';
import { seeded } from '../../fixtures/onnx-build.ts';

const SIZES = fc.integer({ min: 1, max: 320 });

function vector(size: number, seed: number): Float32Array {
  const next = seeded(seed);
  return Float32Array.from({ length: size }, next);
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? Number.NaN), 0);
}

describe('rotation', () => {
  it('keeps lengths and angles', () => {
    fc.assert(
      fc.property(SIZES, fc.nat(), (size, seed) => {
        const { turn } = rotation(size);
        const [a, b] = [vector(size, seed), vector(size, seed + 1)];
        const before = [dot(a, a), dot(a, b)] as const;
        turn(a, 0, 1);
        turn(b, 0, 1);
        expect(Math.abs(dot(a, a) - before[0])).toBeLessThan(1e-5 * size);
        expect(Math.abs(dot(a, b) - before[1])).toBeLessThan(1e-5 * size);
      }),
    );
  });

  it('is the product of matrices that it is said to be', () => {
    fc.assert(
      fc.property(SIZES, fc.nat(), (size, seed) => {
        const { blocks, width, signs, hadamard, cosines, turn } = rotation(size);
        expect(blocks * width).toBe(size);
        const values = vector(size, seed);
        const right = Float32Array.from({ length: size }, (_, at) => {
          let sum = 0;
          for (let index = 0; index < size; index += 1) {
            const down = hadamard[Math.floor(index / width) * blocks + Math.floor(at / width)] ?? 0;
            const along = cosines[(index % width) * width + (at % width)] ?? 0;
            sum += (values[index] ?? 0) * (signs[index] ?? 0) * down * along;
          }
          return sum;
        });
        turn(values, 0, 1);
        for (const [at, value] of values.entries()) expect(value).toBeCloseTo(right[at] ?? Number.NaN, 5);
      }),
      { numRuns: 20 },
    );
  });

  it('spreads one large element over all', () => {
    const values = new Float32Array(576);
    values[100] = 1000;
    rotation(576).turn(values, 0, 1);
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).toBeLessThan(1000 / 15);
  });

  it('turns a column of a matrix and nothing else', () => {
    const matrix = vector(3 * 24, 5);
    const column = Float32Array.from({ length: 24 }, (_, row) => matrix[3 * row + 1] ?? 0);
    const before = matrix.slice();
    const { turn } = rotation(24);
    turn(column, 0, 1);
    turn(matrix, 1, 3);
    for (const [at, value] of matrix.entries()) {
      expect(value).toBe(at % 3 === 1 ? column[(at - 1) / 3] : before[at]);
    }
  });
});

it('finds the power of two in a size', () => {
  expect([576, 1536, 45, 64, 1].map((size) => powerOfTwoIn(size, 32))).toEqual([32, 32, 1, 32, 1]);
  expect(powerOfTwoIn(22.5, 32)).toBe(1);
});

it('has Hadamard matrices that are their own inverse', () => {
  for (const size of [1, 2, 8, 32]) {
    const matrix = hadamardMatrix(size);
    for (let row = 0; row < size; row += 1) {
      for (let column = 0; column < size; column += 1) {
        const product = dot(
          matrix.subarray(row * size, (row + 1) * size),
          matrix.subarray(column * size, (column + 1) * size),
        );
        expect(product).toBeCloseTo(row === column ? 1 : 0, 5);
      }
    }
  }
});
