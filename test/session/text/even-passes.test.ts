import { expect, it } from 'vitest';
import { evenPasses } from '../../../src/session/text/even-passes.ts';

it('gives each pass the mean of those with as many rows, fewest rows first', () => {
  const passes = [
    { rows: 5, ms: 20 },
    { rows: 1, ms: 10 },
    { rows: 1, ms: 30 },
    { rows: 5, ms: 40 },
    { rows: 1, ms: 11 },
  ];
  expect(evenPasses(passes)).toEqual([
    { rows: 1, ms: 17 },
    { rows: 1, ms: 17 },
    { rows: 1, ms: 17 },
    { rows: 5, ms: 30 },
    { rows: 5, ms: 30 },
  ]);
  expect(evenPasses([])).toEqual([]);
});
