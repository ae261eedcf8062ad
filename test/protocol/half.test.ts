import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHalf, HALF_OVERFLOW, toHalf } from '../../src/protocol/half.ts';

const one = (value: number) => toHalf(Float32Array.of(value))[0] ?? -1;
const back = (half: number) => fromHalf(Uint16Array.of(half))[0] ?? Number.NaN;

/** The value of a half by the definition in IEEE 754, without any bit tricks. */
function halfValue(half: number): number {
  const sign = half >= 0x8000 ? -1 : 1;
  const exponent = Math.floor(half / 1024) % 32;
  const fraction = (half % 1024) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * 2 ** -14 * fraction : sign * 2 ** (exponent - 15) * (1 + fraction);
}

/** Every finite half in ascending order, both zeros apart, as pairs of value and bits. */
const POSITIVE = Array.from({ length: 0x7c00 }, (_, half) => halfValue(half));

/** Nearest half by search; between two that are equally near, the even one. */
function nearest(value: number): number {
  let low = 0;
  let high = POSITIVE.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((POSITIVE[middle] ?? 0) <= value) low = middle;
    else high = middle;
  }
  const below = value - (POSITIVE[low] ?? 0);
  const above = (POSITIVE[high] ?? 0) - value;
  if (below === above) return low % 2 === 0 ? low : high;
  return below < above ? low : high;
}

test('every half has the value that the standard gives it, and converts back to itself', () => {
  const halves = Uint16Array.from({ length: 65_536 }, (_, half) => half);
  const values = fromHalf(halves);
  expect(Array.from(values)).toEqual(Array.from(halves, halfValue));
  expect(toHalf(values)).toEqual(halves);
});

test.each([
  [0, 0x0000],
  [-0, 0x8000],
  [1, 0x3c00],
  [65504, 0x7bff],
  [65519.996, 0x7bff],
  [HALF_OVERFLOW, 0x7c00],
  [-HALF_OVERFLOW, 0xfc00],
  [1e38, 0x7c00],
  [Number.POSITIVE_INFINITY, 0x7c00],
  [Number.NEGATIVE_INFINITY, 0xfc00],
  [2 ** -14, 0x0400],
  [2 ** -24, 0x0001],
  [2 ** -25, 0x0000], // a tie between zero and the least subnormal: to even
  [2 ** -25 * (1 + 2 ** -23), 0x0001],
  [3 * 2 ** -25, 0x0002], // a tie between the first two subnormals
  [2 ** -14 - 2 ** -25, 0x0400], // a tie that carries into the least normal
  [1 + 2 ** -11, 0x3c00], // a tie downwards
  [1 + 3 * 2 ** -11, 0x3c02], // a tie upwards
  [2 ** -149, 0x0000],
])('%d is written as %i', (value, bits) => {
  expect(one(value)).toBe(bits);
});

test('a NaN stays one, whatever its payload', () => {
  const nans = new Float32Array(Uint32Array.of(0x7f800001, 0x7fc00000, 0xff800001, 0xffffffff).buffer);
  for (const half of toHalf(nans)) expect(back(half)).toBeNaN();
});

test('rounds to the nearest half, ties to even', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.float({ min: 0, max: 65504, noNaN: true }),
        fc.float({ min: 0, max: Math.fround(2 ** -13), noNaN: true }),
        // Exactly in the middle of two neighbours.
        fc.nat(0x7bfe).map((half) => (halfValue(half) + halfValue(half + 1)) / 2),
      ),
      (value) => {
        expect(one(value)).toBe(nearest(value));
        expect(one(-value)).toBe(nearest(value) | 0x8000);
      },
    ),
    { numRuns: 2000 },
  );
});

test('reads only its own part of a buffer', () => {
  const buffer = Float32Array.of(9, 1, 2, 9);
  expect(Array.from(toHalf(buffer.subarray(1, 3)))).toEqual([0x3c00, 0x4000]);
});
