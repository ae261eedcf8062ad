/** Attention against loops in float64: long contexts, and scores of any size. */
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { KernelBench, uniform } from '../../fixtures/kernel-bench.ts';

const PAGE = 64;

let bench: KernelBench;

beforeAll(async () => {
  bench = await KernelBench.open();
  expect(bench.kernels.pagePositions).toBe(PAGE);
});

interface Heads {
  readonly headDim: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** `[positions, kvHeads, headDim]`. */
  readonly keys: Float32Array;
  readonly values: Float32Array;
  /** `[heads, headDim]`. */
  readonly query: Float32Array;
  readonly positions: number;
}

/** One row behind `positions - 1` others, by the kernel. */
function attend({ headDim, heads, kvHeads, keys, values, query, positions }: Heads): Float32Array {
  const pageFloats = 2 * kvHeads * PAGE * headDim;
  const count = Math.ceil(positions / PAGE);
  const pages = Array.from({ length: count }, (_, page) => {
    // Not zeros: what no position has written must not be read.
    const floats = new Float32Array(pageFloats).fill(Number.NaN);
    for (let slot = 0; slot < PAGE && page * PAGE + slot < positions; slot += 1) {
      for (let head = 0; head < kvHeads; head += 1) {
        const from = ((page * PAGE + slot) * kvHeads + head) * headDim;
        floats.set(keys.subarray(from, from + headDim), (head * PAGE + slot) * headDim);
        floats.set(values.subarray(from, from + headDim), ((kvHeads + head) * PAGE + slot) * headDim);
      }
    }
    return bench.put(floats);
  });
  const tables = bench.put(Int32Array.from(pages));
  const packed = new Float32Array((heads + 2 * kvHeads) * headDim);
  packed.set(query);
  const packedAt = bench.put(packed);
  const out = bench.heap.take(heads * headDim * 4);
  const stride = Math.ceil(positions / 4) * 4;
  const scores = bench.put(new Float32Array((stride * heads) / kvHeads).fill(Number.NaN));
  const args = [out, packedAt, 0, 0, heads, kvHeads, headDim];
  bench.run('attend', args, { rows: 1, position: positions - 1, tables, scores, scoresStride: stride * 4 });
  const made = bench.floats(out, heads * headDim);
  for (const place of [...pages, tables, packedAt, out, scores]) bench.heap.give(place);
  return made;
}

/** In float64; with each element the sum of its parts' sizes, to which an error is relative. */
function wanted(given: Heads): { readonly value: number; readonly size: number }[] {
  const { headDim, heads, kvHeads, keys, values, query, positions } = given;
  return Array.from({ length: heads * headDim }, (_, at) => {
    const head = Math.floor(at / headDim);
    const kvHead = Math.floor(head / (heads / kvHeads));
    const of = (list: Float32Array, position: number, d: number): number =>
      list[(position * kvHeads + kvHead) * headDim + d] ?? 0;
    const scores = Array.from({ length: positions }, (_, position) => {
      let sum = 0;
      for (let d = 0; d < headDim; d += 1) sum += (query[head * headDim + d] ?? 0) * of(keys, position, d);
      return sum / Math.sqrt(headDim);
    });
    const largest = scores.reduce((a, b) => Math.max(a, b));
    const shares = scores.map((score) => Math.exp(score - largest));
    const total = shares.reduce((a, b) => a + b);
    let value = 0;
    let size = 0;
    for (const [position, share] of shares.entries()) {
      value += (share * of(values, position, at % headDim)) / total;
      size += (share * Math.abs(of(values, position, at % headDim))) / total;
    }
    return { value, size };
  });
}

/**
 * Float32's unit is 6e-8; scores of some tens lose a few of their last bits in `exp`, and sums over positions
 * are taken one after the other.
 */
function tolerance(given: Heads, largestScore: number): number {
  return 6e-8 * (8 + 2 * largestScore + Math.sqrt(given.positions) + given.headDim / 4);
}

function drawn(
  seed: number,
  positions: number,
  options: Partial<Heads> & { readonly spread: number },
): Heads {
  const { headDim = 16, heads = 1, kvHeads = 1, spread } = options;
  const random = uniform(seed);
  const floats = (count: number, by = 1): Float32Array =>
    Float32Array.from({ length: count }, () => (random() - 0.5) * 2 * by);
  return {
    ...{ headDim, heads, kvHeads, positions },
    keys: floats(positions * kvHeads * headDim, spread),
    values: floats(positions * kvHeads * headDim, 10),
    query: floats(heads * headDim),
  };
}

function expectClose(given: Heads, largestScore: number): void {
  const made = attend(given);
  const bound = tolerance(given, largestScore);
  for (const [at, { value, size }] of wanted(given).entries()) {
    expect(Math.abs((made[at] ?? Number.NaN) - value)).toBeLessThanOrEqual(bound * size + 1e-37);
  }
}

it('is what loops make, for any heads', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 1, max: 140 }),
      fc.integer({ min: 1, max: 36 }).map((n) => n * 4),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      (seed, positions, headDim, kvHeads, group) => {
        const given = drawn(seed, positions, { headDim, kvHeads, heads: kvHeads * group, spread: 2 });
        expectClose(given, 2 * Math.sqrt(headDim));
      },
    ),
    { numRuns: 60 },
  );
});

it.each([1, 3, 4, 31, 63, 64, 65, 255, 256, 257, 4097])(
  'is what loops make over %i positions',
  (positions) => {
    expectClose(drawn(positions, positions, { spread: 4 }), 16);
  },
);

it.each([1e-30, 1e-6, 1, 10, 30, 300])('is what loops make for scores of the size %f', (spread) => {
  for (const seed of [1, 2, 3]) expectClose(drawn(seed, 200, { spread }), spread * 4);
});

it('gives equal shares to equal scores', () => {
  const given = drawn(5, 1000, { spread: 0 });
  const mean = wanted(given);
  expectClose(given, 0);
  const sum = given.values.reduce((total, value, at) => total + (at % 16 === 0 ? value : 0), 0);
  expect(mean[0]?.value).toBeCloseTo(sum / 1000, 10);
});

it('gives all to a score far above the others, and nothing that is not a number', () => {
  const given = drawn(6, 100, { spread: 0 });
  const keys = new Float32Array(given.keys);
  keys.set(
    given.query.map((value) => value * 1e6),
    57 * 16,
  );
  expect(attend({ ...given, keys })).toEqual(given.values.slice(57 * 16, 58 * 16));
  // Scores of -1e20 and below, all alike: still equal shares.
  const low = new Float32Array(given.keys.length);
  for (let at = 0; at < low.length; at += 1) low[at] = -1e20 * Math.sign(given.query[at % 16] ?? 0);
  const made = attend({ ...given, keys: low });
  for (const [at, { value }] of wanted(given).entries()) expect(made[at]).toBeCloseTo(value, 4);
});
