/** What is taken of the kernels' memory is given back, also when something goes wrong half way. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Segment } from '../../../src/core/span.ts';
import { IsthmusError } from '../../../src/errors.ts';
import type { PackageSource } from '../../../src/runtime/runner.ts';
import {
  chainOf,
  loadChain,
  openRows,
  runChain,
  scoresOf,
  type TinyRowsPackage,
  tinyRowsPackage,
} from '../../fixtures/rows.ts';
import { prompt } from '../loop-package.ts';

let pkg: TinyRowsPackage;
let blocks: number;
let all: Segment;

beforeAll(async () => {
  pkg = await tinyRowsPackage('qwen2', { contextLength: 600 });
  blocks = pkg.manifest.blocks.length;
  all = { stage: 0, from: 0, to: blocks };
});

const each = (): Segment[] => chainOf(Array.from({ length: blocks + 1 }, (_, edge) => edge));

/** The package, but for the files that `change` gives otherwise. */
function withSource(change: (path: string, bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>): {
  readonly pkg: TinyRowsPackage;
} {
  const source: PackageSource = { read: async (path) => change(path, await pkg.source.read(path)) };
  return { pkg: { ...pkg, source } };
}

const isShard = (path: string): boolean => !path.endsWith('.onnx');

describe('memory', () => {
  it('is as before when everything is unloaded', async () => {
    const { runner, place } = await openRows(pkg);
    const before = place.heap.used;
    for (const chain of [[all], each(), chainOf([0, 3, blocks]), [all, ...each()]]) {
      await loadChain(runner, chain);
      expect(place.heap.used).toBeGreaterThan(before);
      for (const segment of chain.toReversed()) await runner.unload(segment);
      expect(place.heap.used).toBe(before);
    }
  });

  it('holds weights once, however many spans use them', async () => {
    const { runner, place } = await openRows(pkg);
    await runner.load(all);
    const whole = place.heap.used;
    await loadChain(runner, each());
    // Lists of operations only.
    expect(place.heap.used - whole).toBeLessThan(64 * 200);
    await runner.unload(all);
    const scores = await scoresOf(runner, pkg, each(), prompt(20, 160));
    expect(scores.byteLength).toBe(20 * 160 * 4);
  });

  it('is as before when states are closed, and not taken for positions that no text has', async () => {
    const { runner, place } = await openRows(pkg);
    await runner.load(all);
    await scoresOf(runner, pkg, [all], prompt(400, 160));
    const before = place.heap.used;
    const state = await runner.openState();
    const empty = place.heap.used;
    const used: number[] = [];
    for (let position = 0; position < 400; position += 40) {
      await runChain(runner, pkg, { chain: [all], state, position, tokens: prompt(40, 160) });
      used.push(place.heap.used - empty);
    }
    const positions = place.kernels.pagePositions;
    const page = 2 * 2 * positions * 16 * 4 * 4;
    expect(used).toEqual(used.map((_, at) => Math.ceil((40 * (at + 1)) / positions) * page));
    await runner.closeState(state);
    expect(place.heap.used).toBe(before);
  });

  it('grows no more when the same is done again and again', async () => {
    const { runner, place } = await openRows(pkg);
    const round = async (): Promise<number> => {
      await loadChain(runner, [all, ...each()]);
      await scoresOf(runner, pkg, [all], prompt(300, 160));
      await scoresOf(runner, pkg, each(), prompt(300, 160), [200, 100]);
      for (const segment of [all, ...each()]) await runner.unload(segment);
      return place.memory.buffer.byteLength;
    };
    await round();
    const bytes = await round();
    for (let again = 0; again < 5; again += 1) expect(await round()).toBe(bytes);
  });

  it('is given back by closing', async () => {
    const { runner, place } = await openRows(pkg);
    const before = place.heap.used;
    await loadChain(runner, [all, ...each()]);
    await runner.openState();
    await runner.close();
    expect(place.heap.used).toBe(before);
  });
});

describe('a load that fails', () => {
  it.each([0, 1, 5])('for the shard in place %i being too short gives back what it took', async (bad) => {
    let shards = 0;
    let broken = true;
    const { pkg: torn } = withSource((path, bytes) => {
      if (!isShard(path)) return bytes;
      shards += 1;
      return broken && shards - 1 === bad ? bytes.subarray(0, bytes.byteLength - 1) : bytes;
    });
    const { runner, place } = await openRows(torn);
    const before = place.heap.used;
    await expect(runner.load(all)).rejects.toMatchObject({
      code: 'bad-shard',
      details: { name: expect.any(String), location: expect.any(String) },
    });
    expect(place.heap.used).toBe(before);
    expect(runner.loaded()).toEqual([]);
    broken = false;
    await runner.load(all);
    expect(runner.loaded()).toEqual([all]);
  });

  it('leaves the weights of others in place', async () => {
    let fail = false;
    const { pkg: flaky } = withSource((path, bytes) => {
      if (fail && isShard(path)) throw new IsthmusError('bad-shard', 'torn');
      return bytes;
    });
    const { runner, place } = await openRows(flaky);
    const [near, far] = chainOf([0, 3, blocks]) as [Segment, Segment];
    await runner.load(near);
    const before = place.heap.used;
    fail = true;
    await expect(runner.load(all)).rejects.toMatchObject({ code: 'bad-shard' });
    expect(place.heap.used).toBe(before);
    fail = false;
    await runner.load(far);
    const made = await scoresOf(runner, pkg, [near, far], prompt(9, 160));
    await runner.load(all);
    expect(Buffer.compare(made, await scoresOf(runner, pkg, [all], prompt(9, 160)))).toBe(0);
  });

  it('because it was given up takes nothing', async () => {
    const stop = new AbortController();
    const { pkg: slow } = withSource((path, bytes) => {
      if (isShard(path)) stop.abort();
      stop.signal.throwIfAborted();
      return bytes;
    });
    const { runner, place } = await openRows(slow);
    const before = place.heap.used;
    await expect(runner.load(all, { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' });
    expect(place.heap.used).toBe(before);
  });

  it('beside others that use the same weights leaves both right', async () => {
    const { runner, place } = await openRows(pkg);
    const before = place.heap.used;
    await Promise.all([all, ...each(), ...chainOf([0, 2, 4, blocks])].map((segment) => runner.load(segment)));
    const one = await scoresOf(runner, pkg, [all], prompt(9, 160));
    expect(Buffer.compare(await scoresOf(runner, pkg, each(), prompt(9, 160)), one)).toBe(0);
    await Promise.all(runner.loaded().map((segment) => runner.unload(segment)));
    // Scratch that runs took stays.
    await runner.load(all);
    const used = place.heap.used;
    await runner.unload(all);
    await runner.load(all);
    expect(place.heap.used).toBe(used);
    expect(used).toBeGreaterThan(before);
  });
});
