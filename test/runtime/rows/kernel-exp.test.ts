/** The exponential, seen through shares of attention and through gates. */
import { beforeAll, expect, it } from 'vitest';
import { KernelBench, uniform } from '../../fixtures/kernel-bench.ts';

let bench: KernelBench;

beforeAll(async () => {
  bench = await KernelBench.open();
});

/** `exp(-distance) / (1 + exp(-distance))`: the share of a second position whose score is that much lower. */
function share(distance: number): number {
  const { pagePositions } = bench.kernels;
  const page = new Float32Array(2 * pagePositions * 4);
  // Two times a half is exact: the score is the key's first element.
  page.set([0, 0, 0, 0, -distance, 0, 0, 0]);
  page.set([0, 0, 0, 0, 1, 1, 1, 1], pagePositions * 4);
  const pageAt = bench.put(page);
  const places = [pageAt, bench.put(Int32Array.of(pageAt)), bench.put(Float32Array.of(2, 0, 0, 0))];
  const [, tables = 0, packed = 0] = places;
  const out = bench.heap.take(16);
  const scores = bench.heap.take(16);
  bench.run('attend', [out, packed, 0, 0, 1, 1, 4], {
    rows: 1,
    position: 1,
    tables,
    scores,
    scoresStride: 16,
  });
  const [made = Number.NaN] = bench.floats(out, 1);
  for (const place of [...places, out, scores]) bench.heap.give(place);
  return made;
}

it('is right to a few units in the last place wherever its result is a normal number', () => {
  const random = uniform(3);
  const edges = [0, 1e-30, 1e-8, 0.34, 0.35, Math.LN2 / 2, Math.LN2, 1, 16, 87, 87.33];
  const any = Array.from({ length: 2000 }, () => random() * 87.3);
  for (const distance of [...edges, ...any].map(Math.fround)) {
    const exp = Math.exp(-distance);
    const wanted = exp / (1 + exp);
    expect(Math.abs(share(distance) - wanted) / wanted, `exp(-${distance})`).toBeLessThan(3e-7);
  }
});

it('is nothing where its result is too small for a normal number', () => {
  for (const distance of [87.34, 88, 100, 104, 1e4, 1e30, 3e38]) expect(share(distance)).toBe(0);
});

it('makes gates that are right to a few units, and never anything but a number', () => {
  const width = 4000;
  const random = uniform(4);
  const edges = [0, -0, 1e-30, -1e-30, -80, 80, -88, 88, -88.5, -90, 90, -1e4, 1e4, -1e30, 1e30];
  const gates = Float32Array.from({ length: width }, (_, at) => edges[at] ?? (random() - 0.5) * 60);
  const ups = Float32Array.from({ length: width }, () => random() - 0.5);
  for (const alpha of [1, 1.702]) {
    const src = bench.put(Float32Array.of(...gates, ...ups));
    const out = bench.heap.take(width * 4);
    const args = [out, src, 0, 0, width, 2 * width, width, { float: alpha }];
    bench.run('gated', args, { rows: 1 });
    const made = bench.floats(out, width);
    for (const [at, gate] of gates.entries()) {
      const wanted = (gate / (1 + Math.exp(-Math.fround(alpha) * gate))) * (ups[at] ?? 0);
      const error = Math.abs((made[at] ?? Number.NaN) - wanted);
      // What is multiplied by alpha is rounded before `exp`, by up to its own size in units.
      expect(error, `gate ${gate}`).toBeLessThanOrEqual(
        Math.abs(wanted) * 6e-8 * (6 + alpha * Math.abs(gate)) + 1e-33,
      );
    }
    for (const place of [src, out]) bench.heap.give(place);
  }
});
