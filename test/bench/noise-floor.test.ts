/** What a planner that costs nothing would be seen to miss. */
import { describe, expect, it } from 'vitest';

const { missesByChance } = await import(new URL('../../bench/report/noise-floor.mjs', import.meta.url).href);

const options = { bound: 1.05, aside: 1 };
const told = (count: number) => Array.from({ length: count }, () => 100);

describe('misses by chance', () => {
  it('are none where runs do not differ, whatever choosing takes', () => {
    expect(missesByChance({ autoMs: told(4), toldMs: told(4) }, options)).toBe(0);
  });

  it('are half of all where runs differ by much: either of a pair could have been the other', () => {
    const autoMs = [160, 60, 170, 55, 150];
    const share = missesByChance({ autoMs, toldMs: told(5) }, options);
    expect(share).toBeGreaterThan(0.3);
    expect(share).toBeLessThan(0.5);
    const mirrored = missesByChance({ autoMs: told(5), toldMs: autoMs }, options);
    expect(mirrored).toBe(share);
  });

  it('are the fewer the more pairs there are, and the better the plan is', () => {
    const noisy = (count: number) => Array.from({ length: count }, (_, run) => (run % 2 === 0 ? 110 : 91));
    const misses = (count: number, aside: number) =>
      missesByChance({ autoMs: noisy(count), toldMs: told(count) }, { ...options, aside });
    expect(misses(4, 1)).toBeGreaterThan(misses(40, 1));
    expect(misses(4, 0.9)).toBeLessThan(misses(4, 1));
    expect(misses(4, 1.2)).toBe(1);
  });
});
