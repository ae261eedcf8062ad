/** Places in the kernels' memory: they never overlap, and what is given back is used again. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Heap } from '../../../src/runtime/rows/heap.ts';

const BASE = 1000;

/** Take so many bytes, or give back the so-manieth place that is held. */
type Step = { readonly take: number } | { readonly give: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ take: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 400_000 })) }),
    fc.record({ give: fc.nat() }),
  ),
  { maxLength: 80 },
);

/** Bytes that a place takes up at least. */
const room = (bytes: number): number => Math.max(bytes, 1);

function play(heap: Heap, list: readonly Step[]): Map<number, number> {
  const held = new Map<number, number>();
  for (const step of list) {
    if ('take' in step) held.set(heap.take(step.take), step.take);
    else {
      const at = [...held.keys()][step.give % Math.max(held.size, 1)];
      if (at === undefined) continue;
      heap.give(at);
      held.delete(at);
    }
  }
  return held;
}

describe('the heap', () => {
  it('gives places that do not overlap, within what memory reaches', () => {
    fc.assert(
      fc.property(steps, (list) => {
        let reach = BASE;
        const heap = new Heap(BASE, (bytes) => {
          reach = bytes;
        });
        const places = [...play(heap, list)].sort(([a], [b]) => a - b);
        let end = BASE;
        for (const [at, bytes] of places) {
          expect(at).toBeGreaterThanOrEqual(end);
          expect(at % 64).toBe(0);
          end = at + room(bytes);
        }
        if (places.length > 0) expect(end).toBeLessThanOrEqual(reach);
        const sum = places.reduce((total, [, bytes]) => total + Math.ceil(room(bytes) / 64) * 64, 0);
        expect(heap.used).toBe(sum);
      }),
    );
  });

  it('is as it was at first when all is given back: nothing is left over, all gaps are joined', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (list, seed) => {
        let reach = 0;
        const heap = new Heap(BASE, (bytes) => {
          reach = bytes;
        });
        const first = heap.take(64);
        heap.give(first);
        const held = [...play(heap, list).keys()];
        const order = held.map((at, index) => [(index * 7919 + seed) % 1009, at] as const);
        for (const [, at] of order.sort(([a], [b]) => a - b)) heap.give(at);
        expect(heap.used).toBe(0);
        const grown = reach;
        expect(heap.take(grown - first - 64)).toBe(first);
        expect(reach).toBe(grown);
      }),
    );
  });

  it('fills a gap before it takes more memory', () => {
    const heap = new Heap(BASE, () => undefined);
    const places = Array.from({ length: 6 }, () => heap.take(1000));
    heap.give(places[2] ?? 0);
    heap.give(places[4] ?? 0);
    heap.give(places[3] ?? 0);
    expect(heap.take(3000)).toBe(places[2]);
    heap.give(places[0] ?? 0);
    expect(heap.take(500)).toBe(places[0]);
    expect(heap.take(400)).toBe((places[0] ?? 0) + 512);
  });

  it('ignores what it never gave, or was given back already', () => {
    const heap = new Heap(BASE, () => undefined);
    const [first, second] = [heap.take(64), heap.take(64)];
    heap.give(first);
    heap.give(first);
    heap.give(first + 1);
    heap.give(0);
    expect(heap.used).toBe(64);
    expect(heap.take(64)).toBe(first);
    expect(heap.take(64)).toBeGreaterThan(second);
  });

  it('says so where memory ends, and holds then what it held', () => {
    const cause = new RangeError('no more');
    const heap = new Heap(BASE, (bytes) => {
      if (bytes > 4 * 2 ** 20) throw cause;
    });
    const at = heap.take(2 ** 20);
    const used = heap.used;
    expect(() => heap.take(8 * 2 ** 20)).toThrow(expect.objectContaining({ code: 'run-failed', cause }));
    expect(heap.used).toBe(used);
    expect(heap.take(2 ** 20)).toBeGreaterThan(at);
  });

  it('uses the last of a memory that has less left than it grows by', () => {
    const limit = 3 * 2 ** 20 + 65536;
    const heap = new Heap(0, (bytes) => {
      if (bytes > limit) throw new RangeError('no more');
    });
    heap.take(3 * 2 ** 20);
    expect(heap.take(65536)).toBe(3 * 2 ** 20);
  });
});
