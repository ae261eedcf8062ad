/** What is done to each row by itself, against plain loops; what is exact is compared to the bit. */
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { paddedInner } from '../../../src/runtime/rows/program.ts';
import { KernelBench, uniform } from '../../fixtures/kernel-bench.ts';

let bench: KernelBench;

beforeAll(async () => {
  bench = await KernelBench.open();
});

const fround = Math.fround;
const seeds = fc.nat();
const rowCounts = fc.integer({ min: 1, max: 5 });
const widths = fc.integer({ min: 1, max: 40 }).map((n) => n * 4);

function drawn(seed: number, count: number, by = 4): Float32Array {
  const random = uniform(seed);
  return Float32Array.from({ length: count }, () => (random() - 0.5) * by);
}

function roundEven(value: number): number {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

it('rounds rows to 8 bits as the graph says, halves to even, and fills up with zeros', () => {
  const step = fround(1 / 127);
  const least = fround(1e-28);
  fc.assert(
    fc.property(seeds, rowCounts, widths, fc.constantFrom(0, 1e-30, 1, 1e30), (seed, rows, width, by) => {
      const source = drawn(seed, rows * width, by);
      const inner = paddedInner(width);
      const src = bench.put(source);
      const values = bench.put(new Int16Array(rows * inner).fill(99));
      const largest = bench.heap.take(rows * 4);
      const args = [values, largest, src, width, inner, { float: step }, { float: least }];
      bench.run('quantise', args, { rows });
      const made = new Int16Array(bench.buffer.slice(values, values + rows * inner * 2));
      const sizes = bench.floats(largest, rows);
      for (const place of [src, values, largest]) bench.heap.give(place);
      for (let row = 0; row < rows; row += 1) {
        const own = source.subarray(row * width, (row + 1) * width);
        const size = own.reduce((top, value) => Math.max(top, Math.abs(value)), least);
        expect(sizes[row]).toBe(size);
        const wanted = Array.from(own, (value) => roundEven(fround(fround(value / size) / step)));
        const zeros = new Array(inner - width).fill(0);
        // -0 is 0 among whole numbers.
        expect([...made.subarray(row * inner, (row + 1) * inner)]).toEqual(
          [...wanted, ...zeros].map((value) => value + 0),
        );
      }
    }),
  );
});

it('adds, shifts and scales as float32 does', () => {
  fc.assert(
    fc.property(seeds, rowCounts, widths, (seed, rows, width) => {
      const [left, right] = [drawn(seed, rows * width), drawn(seed + 1, rows * width)];
      const [a, b] = [bench.put(left), bench.put(right)];
      const out = bench.heap.take(rows * width * 4);
      const result = (kind: 'add' | 'shift' | 'scale'): number[] => {
        bench.run(kind, [out, a, b, width], { rows });
        return [...bench.floats(out, rows * width)];
      };
      const each = (make: (x: number, at: number) => number): number[] =>
        Array.from(left, (x, at) => fround(make(x, at)));
      expect(result('add')).toEqual(each((x, at) => x + (right[at] ?? 0)));
      expect(result('shift')).toEqual(each((x, at) => x + (right[at % width] ?? 0)));
      expect(result('scale')).toEqual(each((x, at) => x * (right[at % width] ?? 0)));
      for (const place of [a, b, out]) bench.heap.give(place);
    }),
  );
});

it('divides rows by their size', () => {
  fc.assert(
    fc.property(seeds, rowCounts, widths, (seed, rows, width) => {
      const source = drawn(seed, rows * width, 100);
      const gain = drawn(seed + 1, width);
      const places = [bench.heap.take(rows * width * 4), bench.put(source), bench.put(gain)];
      bench.run('norm', [...places, width, { float: 1e-5 }], { rows });
      const made = bench.floats(places[0] ?? 0, rows * width);
      for (const place of places) bench.heap.give(place);
      for (const [at, value] of made.entries()) {
        const from = at - (at % width);
        const own = source.subarray(from, from + width);
        const size = Math.sqrt(own.reduce((sum, x) => sum + x * x, 0) / width + 1e-5);
        const wanted = ((source[at] ?? 0) / size) * (gain[at % width] ?? 0);
        expect(Math.abs(value - wanted)).toBeLessThanOrEqual(Math.abs(wanted) * 1e-6);
      }
    }),
  );
});

it('mixes groups of a row, and blocks of a row, of any size', () => {
  const sizes = fc.integer({ min: 1, max: 20 });
  fc.assert(
    fc.property(seeds, rowCounts, sizes, sizes, (seed, rows, blocks, width) => {
      const total = rows * blocks * width;
      const source = drawn(seed, total);
      const [square, other] = [drawn(seed + 1, width * width), drawn(seed + 2, blocks * blocks)];
      const src = bench.put(source);
      const [within, across] = [bench.put(square), bench.put(other)];
      const out = bench.heap.take(total * 4);
      const close = (make: (from: number, block: number, at: number) => number): void => {
        for (const [index, value] of bench.floats(out, total).entries()) {
          const from = index - (index % (blocks * width));
          const wanted = make(from, Math.floor((index - from) / width), index % width);
          expect(Math.abs(value - wanted)).toBeLessThan(1e-5 * Math.max(blocks, width));
        }
      };
      const sum = (count: number, part: (index: number) => number): number =>
        Array.from({ length: count }, (_, index) => part(index)).reduce((a, b) => a + b, 0);
      bench.run('mix', [out, src, within, width, blocks * width], { rows });
      close((from, block, at) =>
        sum(width, (i) => (source[from + block * width + i] ?? 0) * (square[i * width + at] ?? 0)),
      );
      bench.run('mixBlocks', [out, src, across, blocks, width], { rows });
      close((from, block, at) =>
        sum(blocks, (i) => (other[block * blocks + i] ?? 0) * (source[from + i * width + at] ?? 0)),
      );
      for (const place of [src, within, across, out]) bench.heap.give(place);
    }),
  );
});

it('looks tokens up in a matrix of products, at once or as codes that are scaled elsewhere', () => {
  fc.assert(
    fc.property(seeds, widths, fc.integer({ min: 1, max: 50 }), (seed, width, vocabulary) => {
      const random = uniform(seed);
      const table = Int8Array.from({ length: width * vocabulary }, () => Math.floor(random() * 256) - 128);
      const scales = drawn(seed, vocabulary);
      const tokens = Int32Array.from({ length: 6 }, () => Math.floor(random() * vocabulary));
      const [matrix, scalesAt] = [bench.matrix(table, width, vocabulary), bench.put(scales)];
      const list = bench.put(tokens);
      const out = bench.heap.take(6 * width * 4);
      const [codes, sizes, again] = [6 * width, 6 * 4, 6 * width * 4].map((bytes) => bench.heap.take(bytes));
      const places = [matrix, scalesAt, list, out, codes ?? 0, sizes ?? 0, again ?? 0];
      const inner = paddedInner(width);
      const run = { rows: 6, list };
      bench.run('embed', [out, matrix, scalesAt, width, inner], run);
      bench.run('takeCodes', [codes ?? 0, matrix, 0, width, inner], run);
      bench.run('takeScales', [sizes ?? 0, scalesAt], run);
      bench.run('decode', [again ?? 0, codes ?? 0, sizes ?? 0, width], run);
      const wanted = Float32Array.from({ length: 6 * width }, (_, at) => {
        const token = tokens[Math.floor(at / width)] ?? 0;
        return (table[(at % width) * vocabulary + token] ?? 0) * (scales[token] ?? 0);
      });
      expect(bench.floats(out, 6 * width)).toEqual(wanted);
      expect(bench.floats(again ?? 0, 6 * width)).toEqual(wanted);
      for (const place of places) bench.heap.give(place);
    }),
  );
});
