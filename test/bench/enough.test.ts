/** When pairs of runs have told which side of the bound a scenario is on. */
import { describe, expect, it } from 'vitest';
import { seeded } from '../fixtures/onnx-build.ts';

const load = (path: string) => import(new URL(`../../bench/${path}`, import.meta.url).href);
const { isSure, isToldApart } = await load('grid/enough.mjs');
const { centre } = await load('report/statistics.mjs');

/** Pairs that differ by `spread` (of the logarithm), until it is told. Twelve even values add up to a nearly normal one. */
function pairsUntilTold(seed: number, { ratio, spread }: { ratio: number; spread: number }): number[] {
  const random = seeded(seed);
  const logs: number[] = [];
  while (!isToldApart(logs) && logs.length < 80) {
    const normal = Array.from({ length: 12 }, random).reduce((sum, one) => sum + one, 0);
    logs.push(Math.log(ratio) + spread * normal);
  }
  return logs;
}

const many = Array.from({ length: 200 }, (_, seed) => seed + 1);

describe('pairs until it is told whether choosing costs over a twentieth', () => {
  it('says that it does not in 19 of 20 where it costs nothing, and that it does where it costs twice as much', () => {
    for (const ratio of [1, 1.1]) {
      const all = many.map((seed) => pairsUntilTold(seed, { ratio, spread: 0.1 }));
      const right = all.filter((logs) => centre(logs) < Math.log(1.05) === (ratio === 1));
      expect(right.length).toBeGreaterThanOrEqual(0.95 * many.length);
    }
  });

  it('takes more pairs where they differ by more, and where the ratio is nearer to the bound', () => {
    const mean = (how: { ratio: number; spread: number }): number =>
      many.reduce((sum, seed) => sum + pairsUntilTold(seed, how).length, 0) / many.length;
    const plain = mean({ ratio: 1, spread: 0.1 });
    expect(plain).toBeLessThan(20);
    expect(mean({ ratio: 1, spread: 0.2 })).toBeGreaterThan(2 * plain);
    expect(mean({ ratio: 1.03, spread: 0.1 })).toBeGreaterThan(1.5 * plain);
  });

  it('says nothing of fewer than five pairs, however alike they are', () => {
    const alike = [0.154, 0.153, 0.155, 0.154];
    expect(isToldApart(alike)).toBe(false);
    expect(isSure(alike, 0.015)).toBe(false);
    expect(isToldApart([...alike, 0.154])).toBe(true);
    expect(isSure([...alike, 0.154], 0.015)).toBe(true);
  });
});
