import { expect, it } from 'vitest';
import { TripFit } from '../../../src/core/draft/trip-fit.ts';

const line = (rows: number): number => 30 + 10 * rows;

it('knows what it is told to expect, then a line through what was seen', () => {
  const fit = new TripFit(line);
  expect(fit.ms(1)).toBeCloseTo(40);
  expect(fit.ms(5)).toBeCloseTo(80);
  for (let times = 0; times < 60; times += 1) {
    for (const rows of [1, 3, 9]) fit.learn(rows, 20 + 5 * rows);
  }
  for (const rows of [1, 2, 3, 6, 9, 20]) expect(fit.ms(rows)).toBeCloseTo(20 + 5 * rows, 0);
});

it('knows rows by what trips with as many took, where the line lies', () => {
  // Two rows at a time: the second costs little, the third as much as the first.
  const steps = (rows: number): number => 40 + 20 * Math.ceil(rows / 2);
  const fit = new TripFit(line);
  for (let times = 0; times < 20; times += 1) for (const rows of [1, 2, 3, 4]) fit.learn(rows, steps(rows));
  for (const rows of [1, 2, 3, 4]) expect(fit.ms(rows)).toBeCloseTo(steps(rows), 0);
  expect(fit.ms(2)).toBeLessThan(fit.ms(3));
});

it('goes by the line again where the last trip with as many rows was long ago', () => {
  const fit = new TripFit(line);
  for (let times = 0; times < 4; times += 1) fit.learn(2, 500);
  expect(fit.ms(2)).toBeCloseTo(500, 0);
  for (let times = 0; times < 100; times += 1) for (const rows of [1, 4]) fit.learn(rows, line(rows));
  expect(fit.ms(2)).toBeLessThan(70);
});

it('takes no nonsense, and never says less than nothing', () => {
  const fit = new TripFit(line);
  for (const ms of [Number.NaN, Infinity, -1]) fit.learn(2, ms);
  expect(fit.ms(5)).toBeCloseTo(80);
  for (let times = 0; times < 50; times += 1) {
    fit.learn(1, 100);
    fit.learn(8, 0);
  }
  for (let rows = 1; rows < 40; rows += 1) expect(fit.ms(rows)).toBeGreaterThanOrEqual(0);
});
