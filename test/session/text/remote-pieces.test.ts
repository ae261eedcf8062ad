import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../src/core/tensor.ts';
import type { StateEntry } from '../../../src/package/manifest.ts';
import {
  cutRange,
  cutState,
  joinState,
  PIECE_BYTES,
  positionsPerPiece,
  rowsPerPiece,
} from '../../../src/session/text/remote-pieces.ts';

describe('a range in pieces', () => {
  it('is whole, in order, with enough at its end', () => {
    const sizes = fc.tuple(fc.nat(500), fc.integer({ min: 1, max: 90 }), fc.nat(90));
    fc.assert(
      fc.property(sizes, ([rows, size, tail]) => {
        const parts = cutRange(rows, size, Math.min(tail, rows));
        expect(
          parts.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, at) => from + at)),
        ).toEqual(Array.from({ length: rows }, (_, at) => at));
        const last = parts.at(-1);
        if (last === undefined) return;
        for (const { from, to } of parts.slice(0, -1)) expect(to - from).toBe(size);
        expect(last.to - last.from).toBeGreaterThanOrEqual(Math.min(tail, rows));
        expect(last.to - last.from).toBeLessThanOrEqual(size + tail);
      }),
    );
  });
});

const entry = (block: number, dims: readonly (number | null)[], axis: number): StateEntry => ({
  input: `past.${block}`,
  output: `present.${block}`,
  origin: 'step',
  dtype: 'float32',
  dims,
  block,
  growth: 'append',
  axis,
});

describe('state in pieces', () => {
  const entries = [entry(0, [1, 2, null, 3], 2), entry(1, [1, null, 4], 1)];

  it('is the same when it is joined again', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 1, max: 9 }), (rows, size) => {
        const make = (count: number, dims: number[]): Tensor => ({
          dtype: 'float32',
          dims,
          bytes: Uint8Array.from({ length: 4 * count }, (_, at) => at % 251),
        });
        const state = {
          'past.0': make(6 * rows, [1, 2, rows, 3]),
          'past.1': make(4 * rows, [1, rows, 4]),
        };
        const pieces = cutRange(rows, size).map((part) => cutState(entries, state, part));
        expect(joinState(entries, pieces)).toEqual(state);
      }),
    );
  });

  it('has pieces of bounded size', () => {
    expect(positionsPerPiece(entries)).toBe(Math.floor(PIECE_BYTES / 40));
    expect(positionsPerPiece([entry(0, [1, 2 ** 22, null], 2)])).toBe(1);
  });
});

it('rows go in pieces by what is larger, what goes or what comes back', () => {
  const tokens = { kind: 'tokens', tokens: Array<number>(100).fill(1) } as const;
  const back = (perUnit: number) => [
    { name: 'h', dtype: 'float32', dims: [1, null, 4], bytes: { base: 0, perUnit }, lossy: true } as const,
  ];
  expect(rowsPerPiece(tokens, 100, [])).toBe(100);
  expect(rowsPerPiece(tokens, 100, back(PIECE_BYTES / 8))).toBe(8);
  expect(rowsPerPiece(tokens, 100, back(2 * PIECE_BYTES))).toBe(1);
});
