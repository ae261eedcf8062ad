/** State that goes back, moves to another runner or is put together from pieces is the state of one run. */
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import type { Segment } from '../../../src/core/span.ts';
import type { RowsRunner } from '../../../src/runtime/rows/rows-runner.ts';
import { expectSame } from '../../contracts/lane.ts';
import {
  chainOf,
  loadChain,
  openRows,
  runChain,
  type TinyRowsPackage,
  tinyRowsPackage,
} from '../../fixtures/rows.ts';
import { prompt } from '../loop-package.ts';

const VOCABULARY = 96;

let pkg: TinyRowsPackage;
let all: Segment;

beforeAll(async () => {
  pkg = await tinyRowsPackage('llama', { contextLength: 200, layers: 2, vocabulary: VOCABULARY });
  all = { stage: 0, from: 0, to: pkg.manifest.blocks.length };
});

const open = async (): Promise<RowsRunner> => {
  const { runner } = await openRows(pkg);
  await loadChain(runner, [all]);
  return runner;
};
const run = (runner: RowsRunner, state: number, position: number, tokens: readonly number[]) =>
  runChain(runner, pkg, { chain: [all], state, position, tokens });

const lengths = fc.integer({ min: 1, max: 90 });

it('goes back and on as if nothing else had been there', async () => {
  const runner = await open();
  await fc.assert(
    fc.asyncProperty(lengths, lengths, fc.nat(), fc.nat(), async (first, second, back, seed) => {
      const tokens = prompt(first, VOCABULARY, 1);
      const other = prompt(second, VOCABULARY, 2 + seed);
      const to = back % (first + 1);
      const state = await runner.openState();
      const fresh = await runner.openState();
      await run(runner, state, 0, tokens);
      const again = await run(runner, state, to, other);
      const wanted = await run(runner, fresh, 0, [...tokens.slice(0, to), ...other]);
      const rowBytes = VOCABULARY * 4;
      const { logits } = again;
      expect(
        Buffer.compare(logits?.bytes ?? Buffer.of(), wanted.logits?.bytes.subarray(to * rowBytes) as Buffer),
      ).toBe(0);
      const end = to + second;
      expectSame(await runner.readState(state, all, 0, end), await runner.readState(fresh, all, 0, end));
      await runner.closeState(state);
      await runner.closeState(fresh);
    }),
    { numRuns: 30 },
  );
});

it('is the same in another runner, written in any pieces', async () => {
  const [runner, other] = [await open(), await open()];
  const tokens = prompt(120, VOCABULARY);
  const state = await runner.openState();
  await run(runner, state, 0, tokens.slice(0, 110));
  const held = await runner.readState(state, all, 0, 110);
  const { logits } = await run(runner, state, 110, tokens.slice(110));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: 109 }), { maxLength: 6 }), async (ends) => {
      const moved = await other.openState();
      let from = 0;
      for (const to of [...ends.sort((a, b) => a - b), 110]) {
        await other.writeState(moved, all, from, await runner.readState(state, all, from, to));
        from = to;
      }
      expectSame(await other.readState(moved, all, 0, 110), held);
      const made = await run(other, moved, 110, tokens.slice(110));
      expect(Buffer.compare(made.logits?.bytes ?? Buffer.of(), logits?.bytes ?? Buffer.of())).toBe(0);
      await other.closeState(moved);
    }),
    { numRuns: 15 },
  );
});

it('drops what lay behind rows that are written', async () => {
  const runner = await open();
  const state = await runner.openState();
  await run(runner, state, 0, prompt(50, VOCABULARY));
  await runner.writeState(state, all, 10, await runner.readState(state, all, 20, 25));
  await expect(runner.readState(state, all, 0, 16)).rejects.toMatchObject({ code: 'bad-option' });
  await expect(run(runner, state, 16, [1])).rejects.toMatchObject({ code: 'bad-option' });
  expectSame(await runner.readState(state, all, 10, 15), await runner.readState(state, all, 10, 15));
  await run(runner, state, 15, [1]);
});

it('keeps blocks of one state apart: each span stands where it was run to', async () => {
  const runner = await open();
  const [near, far] = chainOf([0, 2, all.to]) as [Segment, Segment];
  await loadChain(runner, [near, far]);
  const state = await runner.openState();
  const tokens = prompt(40, VOCABULARY);
  await runChain(runner, pkg, { chain: [near], state, position: 0, tokens });
  await runner.readState(state, near, 0, 40);
  await expect(runner.readState(state, far, 0, 1)).rejects.toMatchObject({ code: 'bad-option' });
  const late = await runner.openState();
  const made = await runChain(runner, pkg, { chain: [near, far], state: late, position: 0, tokens });
  const again = await run(runner, state, 0, tokens);
  expectSame({ logits: made.logits as never }, { logits: again.logits as never });
});
