/** Drawing tokens: the right distribution, the same draw everywhere, and clear errors for broken scores. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GREEDY, type Sampling } from '../../src/core/sampling.ts';
import { argmax } from '../../src/runtime/decode.ts';
import { pickToken } from '../../src/runtime/sample.ts';
import { splitMix64, uniform } from '../../src/runtime/sample-draw.ts';
import { expNegative } from '../../src/runtime/sample-exp.ts';
import { checkSampling } from '../../src/runtime/sample-options.ts';
import { probabilities } from './sample-reference.ts';

const PLAIN: Sampling = { ...GREEDY, temperature: 1, seed: 7 };

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

const scoreLists = fc
  .array(fc.float({ min: -12, max: 12, noNaN: true }), { minLength: 1, maxLength: 60 })
  .map((list) => Float32Array.from(list));

const samplings = fc.record({
  temperature: fc.double({ min: 0.2, max: 3, noNaN: true }),
  topK: fc.integer({ min: 0, max: 70 }),
  topP: fc.double({ min: 0.05, max: 1, noNaN: true }),
  minP: fc.double({ min: 0, max: 1, noNaN: true }),
  repetitionPenalty: fc.double({ min: 0.5, max: 2, noNaN: true }),
  seed: fc.maxSafeNat(),
});

/** Pearson's statistic over cells that are expected at least five times, and their number. */
function chiSquare(counts: readonly number[], expected: readonly number[], draws: number) {
  let statistic = 0;
  let cells = 0;
  let restCount = 0;
  let restExpected = 0;
  for (const [token, probability] of expected.entries()) {
    const mean = probability * draws;
    const count = counts[token] ?? 0;
    if (mean >= 5) {
      statistic += (count - mean) ** 2 / mean;
      cells += 1;
    } else {
      restCount += count;
      restExpected += mean;
    }
  }
  if (restExpected > 0) {
    statistic += (restCount - restExpected) ** 2 / restExpected;
    cells += 1;
  }
  return { statistic, freedom: cells - 1 };
}

/** The value that chi-square stays below but once in a thousand (Wilson and Hilferty 1931). */
function limit(freedom: number): number {
  const part = 2 / (9 * freedom);
  return freedom * (1 - part + 3.09 * Math.sqrt(part)) ** 3;
}

describe('the distribution', () => {
  const scores = Float32Array.from({ length: 200 }, (_, token) => 4 * Math.sin(token * 1.7) - token / 80);
  const settings: [string, Partial<Sampling>, number[]][] = [
    ['as the scores say', {}, []],
    ['sharpened', { temperature: 0.6 }, []],
    ['flattened', { temperature: 1.8 }, []],
    ['top-k', { topK: 12 }, []],
    ['top-p', { topP: 0.8 }, []],
    ['min-p', { minP: 0.2 }, []],
    ['penalised', { repetitionPenalty: 1.4 }, [1, 2, 2, 12, 13]],
    ['all at once', { temperature: 1.3, topK: 60, topP: 0.9, minP: 0.02, repetitionPenalty: 1.2 }, [1, 20]],
  ];
  it.each(settings)('%s', (_, partial, answer) => {
    const sampling = { ...PLAIN, ...partial };
    const draws = 12_000;
    const counts = new Array<number>(scores.length).fill(0);
    for (let position = 0; position < draws; position += 1) {
      const token = pickToken(scores, sampling, position, answer);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    const expected = probabilities(scores, sampling, answer);
    for (const [token, count] of counts.entries()) {
      if (expected[token] === 0) expect(count).toBe(0);
    }
    const { statistic, freedom } = chiSquare(counts, expected, draws);
    expect(freedom).toBeGreaterThan(2);
    expect(statistic).toBeLessThan(limit(freedom));
  });

  it('notices a distribution that is a little off', () => {
    const draws = 12_000;
    const counts = new Array<number>(scores.length).fill(0);
    for (let position = 0; position < draws; position += 1) {
      const token = pickToken(scores, { ...PLAIN, temperature: 1.1 }, position, []);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    const { statistic, freedom } = chiSquare(counts, probabilities(scores, PLAIN, []), draws);
    expect(statistic).toBeGreaterThan(limit(freedom));
  });
});

describe('properties', () => {
  it('draws the token at which the plain definition passes the uniform number', () => {
    fc.assert(
      fc.property(
        scoreLists,
        samplings,
        fc.nat(),
        fc.array(fc.nat(70)),
        (scores, sampling, position, answer) => {
          const expected = probabilities(scores, sampling, answer);
          const token = pickToken(scores, sampling, position, answer);
          expect(expected[token]).toBeGreaterThan(0);
          const before = expected.slice(0, token).reduce((total, part) => total + part, 0);
          const share = uniform(sampling.seed, position);
          expect(share).toBeGreaterThanOrEqual(before - 1e-9);
          expect(share).toBeLessThanOrEqual(before + (expected[token] ?? 0) + 1e-9);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('is greedy at temperature 0, whatever else is set, and leaves the scores alone', () => {
    fc.assert(
      fc.property(
        scoreLists,
        samplings,
        fc.nat(),
        fc.array(fc.nat(70)),
        (scores, sampling, position, answer) => {
          const copy = scores.slice();
          expect(pickToken(scores, { ...sampling, temperature: 0 }, position, answer)).toBe(argmax(scores));
          pickToken(scores, sampling, position, answer);
          expect(scores).toEqual(copy);
        },
      ),
    );
  });

  it('equals greedy with top-k 1, with min-p 1 where the best is alone, and with a tiny top-p', () => {
    fc.assert(
      fc.property(scoreLists, samplings, fc.nat(), (scores, sampling, position) => {
        const best = argmax(scores);
        const free = { ...sampling, repetitionPenalty: 1 };
        expect(pickToken(scores, { ...free, topK: 1 }, position, [])).toBe(best);
        expect(pickToken(scores, { ...free, topP: Number.MIN_VALUE }, position, [])).toBe(best);
        const alone = scores.every((score, token) => token === best || score < (scores[best] ?? 0) - 0.01);
        if (alone) expect(pickToken(scores, { ...free, minP: 1, temperature: 0.2 }, position, [])).toBe(best);
      }),
    );
  });

  it('takes exactly k tokens where scores are equal, the lowest ids', () => {
    const scores = new Float32Array(1_000).fill(1.5);
    const seen = new Set<number>();
    for (let position = 0; position < 400; position += 1) {
      seen.add(pickToken(scores, { ...PLAIN, topK: 5 }, position, []));
    }
    expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
  });

  it('counts a token of the answer once, however often it stands there', () => {
    const scores = Float32Array.of(1, 2, 3, -1);
    const sampling = { ...PLAIN, repetitionPenalty: 1.3 };
    for (let position = 0; position < 200; position += 1) {
      expect(pickToken(scores, sampling, position, [2, 2, 2, 3, 900])).toBe(
        pickToken(scores, sampling, position, [3, 2]),
      );
    }
  });
});

describe('extremes', () => {
  it('never draws a token whose score is -Infinity, and refuses what it cannot read', () => {
    const scores = Float32Array.of(-Infinity, 0, -Infinity, 0.5);
    for (let position = 0; position < 300; position += 1) {
      expect([1, 3]).toContain(
        pickToken(scores, { ...PLAIN, topK: 3, topP: 0.999, repetitionPenalty: 3 }, position, [0, 3]),
      );
    }
    const broken = [
      Float32Array.of(),
      Float32Array.of(1, Number.NaN),
      Float32Array.of(Infinity, 1),
      Float32Array.of(-Infinity, -Infinity),
    ];
    for (const list of broken) {
      for (const sampling of [PLAIN, GREEDY]) {
        expect(thrown(() => pickToken(list, sampling, 0, []))).toMatchObject({ code: 'run-failed' });
      }
    }
  });

  it('stands extreme temperatures, penalties and scores', () => {
    const scores = Float32Array.of(3e38, -3e38, 0, 3e38);
    for (const temperature of [Number.MIN_VALUE, 1e-3, 1e300]) {
      for (const repetitionPenalty of [Number.MIN_VALUE, 1, 1e300]) {
        for (let position = 0; position < 20; position += 1) {
          const token = pickToken(scores, { ...PLAIN, temperature, repetitionPenalty }, position, [0, 1]);
          expect(token).toBeGreaterThanOrEqual(0);
          expect(token).toBeLessThan(4);
        }
      }
    }
  });

  it('treats both zeros as equal', () => {
    const seen = new Set<number>();
    for (let position = 0; position < 200; position += 1) {
      seen.add(pickToken(Float32Array.of(-0, 0, -0, 0), { ...PLAIN, topK: 2 }, position, []));
    }
    expect([...seen].sort()).toEqual([0, 1]);
  });
});

describe('the draw', () => {
  it('is SplitMix64, by its published outputs', () => {
    // Seed 1234567, the first five: Vigna's reference implementation.
    const outputs = [0n, 1n, 2n, 3n, 4n].map((index) => splitMix64(1234567n, index));
    expect(outputs).toEqual([
      6457827717110365317n,
      3203168211198807973n,
      9817491932198370423n,
      4593380528125082431n,
      16408922859458223821n,
    ]);
  });

  it('is even over positions and over seeds, and neighbours do not go together', () => {
    const draws = 16_000;
    const cells = 32;
    const by = (draw: (index: number) => number): number => {
      const counts = new Array<number>(cells).fill(0);
      for (let index = 0; index < draws; index += 1) {
        const cell = Math.floor(draw(index) * cells);
        counts[cell] = (counts[cell] ?? 0) + 1;
      }
      return chiSquare(counts, new Array<number>(cells).fill(1 / cells), draws).statistic;
    };
    const bound = limit(cells - 1);
    expect(by((index) => uniform(3, index))).toBeLessThan(bound);
    expect(by((index) => uniform(index, 3))).toBeLessThan(bound);
    expect(by((index) => (1 + uniform(0, index + 1) - uniform(0, index)) % 1)).toBeLessThan(bound);
    expect(by((index) => (1 + uniform(index + 1, 9) - uniform(index, 9)) % 1)).toBeLessThan(bound);
    expect(by(() => 0.5)).toBeGreaterThan(bound);
  });
});

describe('the exponential', () => {
  it('is within a few units in the last place of the engine’s own', () => {
    fc.assert(
      fc.property(fc.double({ min: -700, max: 0, noNaN: true }), (x) => {
        expect(Math.abs(expNegative(x) / Math.exp(x) - 1)).toBeLessThan(1e-15);
      }),
      { numRuns: 5_000 },
    );
    expect([0, -0, -Infinity, -800].map(expNegative)).toEqual([1, 1, 0, 0]);
  });
});

describe('options', () => {
  it('fills in defaults and keeps what is given', () => {
    const defaults = { ...GREEDY, temperature: 0.7, topP: 0.9 };
    const partial = { temperature: 0, seed: 5, topK: undefined, maxTokens: 9 };
    expect(checkSampling(partial, defaults)).toEqual({ ...GREEDY, topP: 0.9, seed: 5 });
  });

  it.each([
    ['temperature', [-1, Number.NaN, Infinity]],
    ['topK', [-1, 1.5, Number.NaN]],
    ['topP', [0, 1.01, -1, Number.NaN]],
    ['minP', [-0.1, 1.1, Number.NaN]],
    ['repetitionPenalty', [0, -1, Infinity, Number.NaN]],
    ['seed', [-1, 0.5, 2 ** 53, Number.NaN]],
  ] as const)('names %s when it is out of range', (option, values) => {
    for (const value of [...values, 'high', null]) {
      if (value === null) continue;
      const error = thrown(() => checkSampling({ [option]: value }, GREEDY));
      expect(error).toMatchObject({ code: 'bad-option', details: { option } });
    }
  });
});
