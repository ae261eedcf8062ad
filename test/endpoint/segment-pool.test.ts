import { expect, it } from 'vitest';
import type { Segment } from '../../src/core/span.ts';
import { SegmentPool } from '../../src/endpoint/segment-pool.ts';

const segment = (from: number): Segment => ({ stage: 0, from, to: from + 1 });

function pool(limit: number, fails: () => boolean = () => false) {
  const log: string[] = [];
  const loader = {
    load: async ({ from }: Segment) => {
      log.push(`load ${from}`);
      if (fails()) throw new Error('no');
    },
    unload: async ({ from }: Segment) => {
      log.push(`unload ${from}`);
    },
  };
  return { pool: new SegmentPool(loader, limit), log };
}

it('loads once and unloads what lay idle longest', async () => {
  const { pool: segments, log } = pool(2);
  const first = await segments.acquire([segment(1), segment(2)]);
  first();
  (await segments.acquire([segment(1)]))();
  (await segments.acquire([segment(3)]))();
  expect(log).toEqual(['load 1', 'load 2', 'unload 2', 'load 3']);
  expect(segments.size).toBe(2);
});

it('never unloads what is in use', async () => {
  const { pool: segments, log } = pool(2);
  const release = await segments.acquire([segment(1)]);
  (await segments.acquire([segment(2)]))();
  (await segments.acquire([segment(3)]))();
  expect(log).toEqual(['load 1', 'load 2', 'unload 2', 'load 3']);
  await expect(segments.acquire([segment(4), segment(5)])).rejects.toMatchObject({ code: 'limit-exceeded' });
  release();
  // What the refused request had taken is free again.
  const both = await segments.acquire([segment(6), segment(7)]);
  expect(segments.size).toBe(2);
  both();
});

it('tries a load that failed again, and keeps no count of it', async () => {
  let failures = 1;
  const { pool: segments, log } = pool(1, () => failures-- > 0);
  const both = await Promise.allSettled([segments.acquire([segment(1)]), segments.acquire([segment(1)])]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(segments.size).toBe(0);
  (await segments.acquire([segment(1)]))();
  (await segments.acquire([segment(2)]))();
  expect(log).toEqual(['load 1', 'load 1', 'unload 1', 'load 2']);
});
