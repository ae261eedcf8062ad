import { expect, it } from 'vitest';
import { bytes, deviation, milliseconds, plural } from '../../demo/format.ts';

it.each([
  [0, '0 ms'],
  [86.6, '87 ms'],
  [999.4, '999 ms'],
  [999.6, '1.00 s'],
  [1243, '1.24 s'],
  [12_430, '12.4 s'],
  [Number.NaN, '–'],
  [Number.POSITIVE_INFINITY, '–'],
])('%s ms reads %s', (ms, text) => {
  expect(milliseconds(ms)).toBe(text);
});

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [999.7, '1.0 kB'],
  [1000, '1.0 kB'],
  [9960, '10 kB'],
  [28_180_947, '28 MB'],
  [5e12, '5000 GB'],
])('%s bytes read %s', (count, text) => {
  expect(bytes(count)).toBe(text);
});

it.each([
  [100, 107, '7% over'],
  [100, 50, '50% under'],
  [100, 102, 'as predicted'],
  [0, 10, ''],
])('%s predicted and %s measured is %j', (predicted, measured, text) => {
  expect(deviation(predicted, measured)).toBe(text);
});

it('counts one and many', () => {
  expect([plural(1, 'block'), plural(0, 'block'), plural(2, 'box', 'boxes')]).toEqual([
    '1 block',
    '0 blocks',
    '2 boxes',
  ]);
});
