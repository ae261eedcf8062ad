/** Models of shapes drawn at random: any cut, any pieces and two threads make the bits of one whole run. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LlamaConfig } from '../../../src/package/gguf/llama-config.ts';
import { startNodeThread } from '../../../src/runtime/rows/node/start-thread.ts';
import { chainOf, handCutPackage, loadChain, openRows, scoresOf } from '../../fixtures/rows.ts';
import type { TinyFamily } from '../../fixtures/tiny-llama.ts';
import { prompt } from '../loop-package.ts';

const fours = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: max / 4 }).map((n) => n * 4);

const shapes: fc.Arbitrary<{ family: TinyFamily; config: Partial<LlamaConfig> }> = fc
  .record({
    family: fc.constantFrom('llama', 'qwen2'),
    kvHeads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 4 }),
    headDim: fc.integer({ min: 2, max: 11 }).map((n) => n * 4),
    turned: fc.double({ min: 0, max: 1, noNaN: true }),
    hidden: fours(100),
    ffn: fours(200),
    vocabulary: fc.integer({ min: 2, max: 200 }),
    tiedHead: fc.boolean(),
  })
  .map(({ family, group, turned, ...shape }) => {
    const { headDim, kvHeads } = shape;
    const ropeDim = 8 * Math.max(1, Math.floor((turned * headDim) / 8));
    const config = { ...shape, heads: kvHeads * group, ropeDim, layers: 2, contextLength: 64 };
    return { family, config };
  });

it('makes the same bits', async () => {
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.nat(),
      fc.integer({ min: 1, max: 39 }),
      async ({ family, config }, at, head) => {
        const pkg = await handCutPackage(family, config);
        const blocks = pkg.manifest.blocks.length;
        const tokens = prompt(40, pkg.built.config.vocabulary);
        const all = chainOf([0, blocks]);
        const { runner } = await openRows(pkg);
        const cut = chainOf([0, 1 + (at % (blocks - 1)), blocks]);
        await loadChain(runner, [...all, ...cut]);
        const whole = await scoresOf(runner, pkg, all, tokens);
        const numbers = new Float32Array(whole.buffer, whole.byteOffset, whole.byteLength / 4);
        expect(numbers).toHaveLength(40 * pkg.built.config.vocabulary);
        expect(numbers.every(Number.isFinite)).toBe(true);
        const split = await scoresOf(runner, pkg, cut, tokens, [head, 40 - head]);
        expect(Buffer.compare(split, whole)).toBe(0);
        const { runner: two } = await openRows(pkg, { threads: 2, startThread: startNodeThread });
        await loadChain(two, all);
        expect(Buffer.compare(await scoresOf(two, pkg, all, tokens), whole)).toBe(0);
        await runner.close();
        await two.close();
      },
    ),
    { numRuns: 30 },
  );
});
