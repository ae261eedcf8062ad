import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isIsthmusError } from '../../../src/errors.ts';
import { buildLlama } from '../../../src/package/gguf/build-llama.ts';
import { LlamaReference } from '../../fixtures/llama-reference.ts';
import {
  type TinyFamily,
  type TinyLlama,
  tinyConfig,
  tinyLlama,
  tinyWeights,
} from '../../fixtures/tiny-llama.ts';
import { Steps } from './steps.ts';

const FAMILIES: readonly TinyFamily[] = ['llama', 'qwen2'];
const LENGTH = 60;

/**
 * Share of the scores' own size by which 8 bits may move them in a model of random weights, which is
 * noisier than a trained one: 0.03 to 0.1 here. A wrong order of axes moves them by more than their size.
 */
const TOLERANCE = 0.12;

function tokensOf(count: number, vocabulary: number): number[] {
  return Array.from({ length: count }, (_, index) => (index * index * 7 + 3 * index) % vocabulary);
}

/** Root mean square of the difference, as a share of the reference's. */
function distance(scores: Float32Array, reference: Float32Array): number {
  expect(scores.length).toBe(reference.length);
  let wrong = 0;
  let size = 0;
  for (const [index, right] of reference.entries()) {
    wrong += ((scores[index] ?? Number.NaN) - right) ** 2;
    size += right ** 2;
  }
  return Math.sqrt(wrong / size);
}

describe.each(FAMILIES)('a model of the %s family', (family) => {
  let built: TinyLlama;
  let steps: Steps;
  let tokens: number[];
  let whole: Float32Array;

  beforeAll(async () => {
    built = await tinyLlama(family);
    steps = await Steps.open(built);
    tokens = tokensOf(LENGTH, built.config.vocabulary);
    steps.clear(LENGTH + 1);
    whole = await steps.run(tokens, 0);
  });

  afterAll(() => steps?.close());

  it('scores as a plain float32 implementation does', async () => {
    const reference = await LlamaReference.load(built.config, built.read);
    expect(distance(whole, reference.forward(tokens, LENGTH))).toBeLessThan(TOLERANCE);
  });

  it('is told from a model with another rotation', async () => {
    const config = { ...built.config, ropeInterleaved: !built.config.ropeInterleaved };
    const reference = await LlamaReference.load(config, built.read);
    expect(distance(whole, reference.forward(tokens, LENGTH))).toBeGreaterThan(5 * TOLERANCE);
  });

  it.each(['attn_norm', 'ffn_norm', 'output_norm'])('has the gain of %s in it', async (name) => {
    const without = async (weight: string) =>
      weight.endsWith(`${name}.weight`) ? (await built.read(weight)).fill(1) : built.read(weight);
    const right = await LlamaReference.load(built.config, built.read);
    const wrong = await LlamaReference.load(built.config, without);
    const near = distance(whole, right.forward(tokens, LENGTH));
    expect(distance(whole, wrong.forward(tokens, LENGTH))).toBeGreaterThan(1.5 * near);
  });

  it('scores the same to the last bit in pieces of any size, in buffers of any room', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 17 }), { minLength: LENGTH, maxLength: LENGTH });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 300 }), async (pieces, spare) => {
        steps.clear(LENGTH + spare);
        expect(await steps.pieces(tokens, pieces)).toEqual(whole);
      }),
      { numRuns: 12 },
    );
    steps.clear(LENGTH + 1);
    expect(await steps.pieces(tokens, Array<number>(LENGTH).fill(1))).toEqual(whole);
  });

  it('scores the same on two threads', async () => {
    const other = await Steps.open(built, 2);
    try {
      for (const sizes of [[LENGTH], [1, 1, 30, 7, 21]]) {
        other.clear(LENGTH + 1);
        expect(await other.pieces(tokens, sizes)).toEqual(whole);
      }
    } finally {
      await other.close();
    }
  });

  it('goes back to an earlier position as if nothing had come after it', async () => {
    const { vocabulary } = built.config;
    steps.clear(LENGTH + 1);
    await steps.pieces(tokens, [40]);
    await steps.run([5, 9, 13, 2, 2, 2, 2], 25);
    const again = await steps.pieces(tokens.slice(30), [3, 27], 30);
    // Rows 25 to 30 were replaced by others: what follows them must differ ...
    expect(again).not.toEqual(whole.slice(30 * vocabulary));
    // ... and be right again when they are put back.
    expect(await steps.pieces(tokens.slice(25), [1, 34], 25)).toEqual(whole.slice(25 * vocabulary));
  });

  it('scores the picked rows alone', async () => {
    const { vocabulary } = built.config;
    steps.clear(LENGTH + 1);
    expect(await steps.run(tokens, 0, 1)).toEqual(whole.slice((LENGTH - 1) * vocabulary));
    expect(await steps.run(tokens, 0, 3)).toEqual(whole.slice((LENGTH - 3) * vocabulary));
  });
});

describe('other shapes', () => {
  const shapes = {
    'a head of one query each, a stream of no power of two': { heads: 3, kvHeads: 3, hidden: 72, ffn: 80 },
    'a feed-forward part that can hardly be mixed': { ffn: 44 },
    'factors for the frequencies': { ropeFactors: [1, 1, 1, 2, 4, 8, 8, 8] },
    'one layer and a large step of the norm': { layers: 1, rmsEpsilon: 0.1 },
  } as const;

  it.each(Object.entries(shapes))('%s', async (_, shape) => {
    const built = await tinyLlama('llama', { config: shape });
    const tokens = tokensOf(LENGTH, built.config.vocabulary);
    const reference = await LlamaReference.load(built.config, built.read);
    const steps = await Steps.open(built);
    try {
      steps.clear(LENGTH + 1);
      const scores = await steps.run(tokens, 0);
      expect(distance(scores, reference.forward(tokens, LENGTH))).toBeLessThan(TOLERANCE);
      steps.clear(LENGTH + 1);
      expect(await steps.pieces(tokens, [1, 1, 20, 38])).toEqual(scores);
    } finally {
      await steps.close();
    }
  });
});

describe('building', () => {
  it('makes the same graph from the same weights', async () => {
    const [first, second] = [await tinyLlama(), await tinyLlama()];
    expect(first.model).toEqual(second.model);
    const other = await tinyLlama('llama', { seed: 2 });
    expect(other.model).not.toEqual(first.model);
  });

  it('keeps one matrix for the embedding and a tied head', async () => {
    const matrices = async (family: TinyFamily) => {
      const { config, model } = await tinyLlama(family);
      return model.graph.initializers.filter(
        ({ dims }) => dims.includes(config.vocabulary) && dims.length === 2,
      );
    };
    expect(await matrices('llama')).toHaveLength(1);
    expect(await matrices('qwen2')).toHaveLength(2);
  });

  it('refuses weights that are not finite', async () => {
    const config = tinyConfig('llama');
    const read = tinyWeights(config);
    const broken = async (name: string) => {
      const values = await read(name);
      if (name === 'blk.2.ffn_down.weight') values[7] = Number.NaN;
      return values;
    };
    await expect(buildLlama(config, broken)).rejects.toSatisfy(
      (error) => isIsthmusError(error) && error.code === 'bad-model',
    );
  });

  it('stops when it is told to', async () => {
    const config = tinyConfig('llama');
    const signal = AbortSignal.abort();
    await expect(buildLlama(config, tinyWeights(config), { signal })).rejects.toSatisfy(
      (error) => isIsthmusError(error) && error.code === 'aborted',
    );
  });
});
