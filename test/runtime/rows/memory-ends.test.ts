/** Where a device gives no more memory: a clear error, nothing lost, and going on with less works. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Segment } from '../../../src/core/span.ts';
import { Heap } from '../../../src/runtime/rows/heap.ts';
import { growTo, openKernels } from '../../../src/runtime/rows/kernels.ts';
import type { KernelPlace } from '../../../src/runtime/rows/place.ts';
import type { WeightUse } from '../../../src/runtime/rows/program.ts';
import { Weights } from '../../../src/runtime/rows/weights.ts';
import {
  chainOf,
  handCutPackage,
  loadChain,
  openRows,
  runChain,
  type TinyRowsPackage,
} from '../../fixtures/rows.ts';
import { prompt } from '../loop-package.ts';

let pkg: TinyRowsPackage;
let all: Segment;

beforeAll(async () => {
  pkg = await handCutPackage('llama', { contextLength: 2000 });
  all = { stage: 0, from: 0, to: pkg.manifest.blocks.length };
});

const noMemory = { code: 'run-failed', message: expect.stringContaining('no memory') };

/** From now on memory does not grow, as on a device that has none left; what it has gets used up first. */
function endMemory({ memory, heap }: KernelPlace): () => void {
  memory.grow = () => {
    throw new RangeError('no more');
  };
  const taken: number[] = [];
  for (let bytes = 2 ** 24; bytes >= 64; bytes /= 2) {
    for (;;) {
      try {
        taken.push(heap.take(bytes));
      } catch {
        break;
      }
    }
  }
  return () => {
    for (const at of taken) heap.give(at);
    delete (memory as { grow?: unknown }).grow;
  };
}

describe('when memory ends', () => {
  it('a load says so and gives back what it took', async () => {
    const { runner, place } = await openRows(pkg);
    const before = place.heap.used;
    const more = endMemory(place);
    await expect(runner.load(all)).rejects.toMatchObject(noMemory);
    more();
    expect(place.heap.used).toBe(before);
    await runner.load(all);
  });

  it('a matrix that fits where its rows to be turned do not is given back', async () => {
    const kernels = await openKernels(false);
    const most = 40_000;
    const heap = new Heap(kernels.base, (bytes) => {
      if (bytes > 2 ** 20 + kernels.base + 64) throw new RangeError('no more');
      growTo(kernels.memory, bytes);
    });
    const weights = new Weights(kernels, heap);
    const [inner, columns] = [16, most / 16];
    const data = new Uint8Array(inner * columns);
    const use: WeightUse = {
      tensor: { name: 'w', dataType: 3, dims: [inner, columns], data, rest: [] },
      form: { as: 'matrix', inner, columns },
    };
    heap.take(2 ** 20 - 1.5 * most - 64);
    const before = heap.used;
    const read = async (): Promise<Uint8Array> => new Uint8Array();
    await expect(weights.hold([use], read)).rejects.toMatchObject(noMemory);
    expect(heap.used).toBe(before);
  });

  it('intermediates that find no room leave nobody the place that they had', async () => {
    const { place } = await openRows(pkg);
    place.needScratch(4096);
    const more = endMemory(place);
    expect(() => place.needScratch(2 ** 24)).toThrow(expect.objectContaining(noMemory));
    more();
    const others = Array.from({ length: 100 }, () => place.heap.take(4096));
    place.needScratch(4096);
    expect(others).not.toContain(place.scratch());
  });

  it('scores of attention that find no room are not written to where others are', async () => {
    const { runner, place } = await openRows(pkg);
    await runner.load(all);
    const [first, second] = [await runner.openState(), await runner.openState()];
    const tokens = prompt(301, 160);
    await runChain(runner, pkg, { chain: [all], state: first, position: 0, tokens: tokens.slice(0, 100) });
    // Pages for 320 positions, while scores have room for 256.
    for (const from of [0, 100, 200]) {
      await runner.writeState(second, all, from, await runner.readState(first, all, 0, 100));
    }
    const run = () =>
      runChain(runner, pkg, { chain: [all], state: second, position: 300, tokens: tokens.slice(300) });
    const more = endMemory(place);
    await expect(run()).rejects.toMatchObject(noMemory);
    more();
    const others = Array.from({ length: 2000 }, () => place.heap.take(64));
    for (const at of others) new Uint8Array(place.memory.buffer, at, 64).fill(0x55);
    await run();
    const written = others.filter((at) =>
      new Uint8Array(place.memory.buffer, at, 64).some((byte) => byte !== 0x55),
    );
    expect(written).toEqual([]);
  });

  it('a text that has outgrown it says so, and another that is shorter goes on', async () => {
    const { runner, place } = await openRows(pkg);
    await loadChain(runner, [all]);
    const tokens = prompt(1200, 160);
    const [long, short] = [await runner.openState(), await runner.openState()];
    const run = (state: number, position: number, to: number) =>
      runChain(runner, pkg, { chain: [all], state, position, tokens: tokens.slice(position, to), picked: 1 });
    await run(long, 0, 240);
    await run(short, 0, 100);
    const more = endMemory(place);
    await expect(run(long, 240, 1200)).rejects.toMatchObject(noMemory);
    const made = await run(short, 100, 110);
    // As far as its last page goes.
    await run(long, 240, 250);
    more();
    const rest = await run(long, 250, 1200);
    const { runner: fresh } = await openRows(pkg);
    await fresh.load(all);
    const state = await fresh.openState();
    const wanted = async (to: number) =>
      (
        await runChain(fresh, pkg, {
          chain: chainOf([0, all.to]),
          state,
          position: 0,
          tokens: tokens.slice(0, to),
          picked: 1,
        })
      ).logits?.bytes ?? Buffer.of();
    expect(Buffer.compare(made.logits?.bytes ?? Buffer.of(), await wanted(110))).toBe(0);
    expect(Buffer.compare(rest.logits?.bytes ?? Buffer.of(), await wanted(1200))).toBe(0);
  });
});
