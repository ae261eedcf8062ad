/** Split = whole and prefill = step by step, to the bit: any cuts, any pieces, any number of threads. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { startNodeThread } from '../../../src/runtime/rows/node/start-thread.ts';
import {
  chainOf,
  handCutPackage,
  loadChain,
  openRows,
  runChain,
  scoresOf,
  type TinyRowsPackage,
  tinyRowsPackage,
} from '../../fixtures/rows.ts';
import { prompt } from '../loop-package.ts';

/** More than a page of 32 positions, more than the 128 rows that run at once, and both twice. */
const LONG = 270;

const MODELS = {
  llama: () => tinyRowsPackage('llama', { contextLength: 300 }),
  'qwen2 of odd widths, its head tied': () =>
    handCutPackage('qwen2', {
      ...{ contextLength: 300, tiedHead: true, layers: 3, hidden: 72, ffn: 100, vocabulary: 163 },
      ...{ heads: 6, kvHeads: 3, headDim: 12, ropeDim: 8 },
    }),
};

/** Ends of the pieces into which rows are cut. */
const pieces = (rows: number): fc.Arbitrary<number[]> =>
  fc.uniqueArray(fc.integer({ min: 1, max: rows - 1 }), { maxLength: 12 }).map((ends) => {
    const sorted = [...ends.sort((a, b) => a - b), rows];
    return sorted.map((end, index) => end - (sorted[index - 1] ?? 0));
  });

/** Edges of spans that cover all blocks. */
const cuts = (blocks: number): fc.Arbitrary<number[]> =>
  fc
    .subarray(Array.from({ length: blocks - 1 }, (_, index) => index + 1))
    .map((inner) => [0, ...inner, blocks]);

describe.each(Object.entries(MODELS))('%s', (_, make) => {
  let pkg: TinyRowsPackage;
  let blocks: number;
  let tokens: number[];
  let whole: Buffer;

  beforeAll(async () => {
    pkg = await make();
    blocks = pkg.manifest.blocks.length;
    tokens = prompt(LONG, pkg.built.config.vocabulary);
  });

  const open = async (threads = 1) => {
    const { runner } = await openRows(pkg, { threads, startThread: startNodeThread });
    await loadChain(runner, chainOf([0, blocks]));
    whole = await scoresOf(runner, pkg, chainOf([0, blocks]), tokens);
    return runner;
  };
  const same = (made: Buffer): void => {
    expect(Buffer.compare(made, whole.subarray(0, made.byteLength))).toBe(0);
  };

  it('makes the same scores whichever two spans share the blocks', async () => {
    const runner = await open();
    expect(blocks).toBeGreaterThan(4);
    for (let cut = 1; cut < blocks; cut += 1) {
      const chain = chainOf([0, cut, blocks]);
      await loadChain(runner, chain);
      same(await scoresOf(runner, pkg, chain, tokens));
    }
  });

  it('makes the same scores for any chain of spans and any pieces', async () => {
    const runner = await open();
    await fc.assert(
      fc.asyncProperty(cuts(blocks), pieces(150), async (edges, lengths) => {
        const chain = chainOf(edges);
        await loadChain(runner, chain);
        same(await scoresOf(runner, pkg, chain, tokens, lengths));
      }),
      { numRuns: 25 },
    );
  });

  it('makes the same scores step by step', async () => {
    const runner = await open();
    const ones = Array.from({ length: LONG }, () => 1);
    same(await scoresOf(runner, pkg, chainOf([0, blocks]), tokens, ones));
  });

  it('sends codes and scales where the cut lies inside the embedding', async () => {
    const runner = await open();
    const chain = chainOf([0, 1, blocks]);
    await loadChain(runner, chain);
    const state = await runner.openState();
    const made = await runChain(runner, pkg, { chain, state, position: 0, tokens });
    const { hidden } = pkg.built.config;
    expect(made['embed.turned']).toMatchObject({ dtype: 'int8', dims: [1, LONG, hidden] });
    expect(made['embed.scale']).toMatchObject({ dtype: 'float32', dims: [1, LONG, 1] });
  });

  it.each([2, 3])('makes the same scores on %i threads', async (threads) => {
    const alone = await open();
    const one = await scoresOf(alone, pkg, chainOf([0, blocks]), tokens);
    const runner = await open(threads);
    for (const lengths of [[LONG], [1, 33, 1, 128, 2, 105], Array.from({ length: 40 }, () => 1)]) {
      const made = await scoresOf(runner, pkg, chainOf([0, blocks]), tokens, lengths);
      expect(Buffer.compare(made, one.subarray(0, made.byteLength))).toBe(0);
    }
  });

  it('scores the rows that are picked, in their order, as it does among all', async () => {
    const runner = await open();
    const width = pkg.built.config.vocabulary * 4;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: LONG }), async (picked) => {
        const state = await runner.openState();
        const run = { chain: chainOf([0, blocks]), state, position: 0, tokens, picked };
        const { logits } = await runChain(runner, pkg, run);
        await runner.closeState(state);
        expect(logits?.dims).toEqual([1, picked, width / 4]);
        const wanted = whole.subarray((LONG - picked) * width);
        expect(Buffer.compare(logits?.bytes ?? Buffer.of(), wanted)).toBe(0);
      }),
      { numRuns: 12, examples: [[1], [8], [9], [128], [142], [143], [LONG]] },
    );
  });
});
