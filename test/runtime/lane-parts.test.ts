/** The pure parts of a lane: which segments, which feeds, which rows, which tokens. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GREEDY } from '../../src/core/sampling.ts';
import type { Segment } from '../../src/core/span.ts';
import type { DType, Tensor } from '../../src/core/tensor.ts';
import { float32Tensor } from '../../src/core/tensor.ts';
import type { FeedKind, LoopStage } from '../../src/package/manifest.ts';
import { argmax } from '../../src/runtime/decode.ts';
import { coverSegment } from '../../src/runtime/lane-cover.ts';
import { pickTokens } from '../../src/runtime/lane-pick.ts';
import { cutRows, joinPieces } from '../../src/runtime/lane-rows.ts';
import { capacityFor, hasRoom, MIN_CAPACITY_ROWS } from '../../src/runtime/state-rows.ts';
import { stepFeeds, tokenFeed } from '../../src/runtime/step-feeds.ts';
import { plainPackage } from './loop-package.ts';

const segment = (from: number, to: number, stage = 0): Segment => ({ stage, from, to });

describe('the segments of a span', () => {
  it('are the fewest that tile it, and only of its stage', () => {
    const loaded = [
      segment(0, 1),
      segment(1, 2),
      segment(0, 3, 1),
      segment(2, 3),
      segment(1, 3),
      segment(0, 4),
    ];
    expect(coverSegment(segment(0, 3), loaded)).toEqual([segment(0, 1), segment(1, 3)]);
    expect(coverSegment(segment(0, 4), loaded)).toEqual([segment(0, 4)]);
    expect(() => coverSegment(segment(0, 5), loaded)).toThrow('no loaded segments');
  });

  it('are found whenever there are any', () => {
    const pieces = fc.array(fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 4 })), { maxLength: 12 });
    fc.assert(
      fc.property(pieces, (given) => {
        const loaded = given.map(([from, length]) => segment(from, from + length));
        // Fewest segments from 0 to each block, by trying all.
        const fewest = [0, ...Array.from({ length: 10 }, () => Infinity)];
        for (let round = 0; round < 10; round += 1) {
          for (const { from, to } of loaded) {
            if (to <= 10) fewest[to] = Math.min(fewest[to] ?? Infinity, (fewest[from] ?? Infinity) + 1);
          }
        }
        const length = fewest[10] ?? Infinity;
        if (length === Infinity) {
          expect(() => coverSegment(segment(0, 10), loaded)).toThrow();
          return;
        }
        const chain = coverSegment(segment(0, 10), loaded);
        expect(chain).toHaveLength(length);
        expect(chain.reduce((at, { from, to }) => (from === at ? to : NaN), 0)).toBe(10);
      }),
    );
  });
});

describe('the feeds of a step', () => {
  const place = { position: 5, rows: 3, picked: 2 };
  const made = (kind: FeedKind, dtype: DType, rank: number): Tensor | undefined => {
    const [stage] = plainPackage().manifest.stages;
    if (stage?.kind !== 'loop') throw new Error('the package is a loop');
    const with1: LoopStage = { ...stage, feeds: [{ input: 'x', kind, dtype, rank }] };
    return stepFeeds(with1, place).x;
  };
  const int64 = (values: readonly number[], dims: readonly number[]): Tensor => ({
    dtype: 'int64',
    dims,
    bytes: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
  });
  const int32 = (values: readonly number[], dims: readonly number[]): Tensor => ({
    dtype: 'int32',
    dims,
    bytes: new Uint8Array(Int32Array.from(values).buffer),
  });

  it('say where the rows stand, in the type and rank that the graph declares', () => {
    expect(made('positions', 'int64', 2)).toEqual(int64([5, 6, 7], [1, 3]));
    expect(made('positions', 'int32', 1)).toEqual(int32([5, 6, 7], [3]));
    expect(made('mask', 'int64', 2)).toEqual(int64([1, 1, 1, 1, 1, 1, 1, 1], [1, 8]));
    expect(made('past', 'int64', 0)).toEqual(int64([5], []));
    expect(made('total', 'int32', 0)).toEqual(int32([8], []));
    expect(made('last', 'int32', 1)).toEqual(int32([7], [1]));
    expect(made('last', 'int32', 2)).toEqual(int32([7], [1, 1]));
    expect(made('picked', 'int64', 1)).toEqual(int64([1, 2], [2]));
    expect(made('picked-count', 'int64', 0)).toEqual(int64([2], []));
    expect(made('mask', 'float32', 2)).toEqual(float32Tensor(new Float32Array(8).fill(1), [1, 8]));
    expect(made('mask', 'bool', 1)).toEqual({ dtype: 'bool', dims: [8], bytes: new Uint8Array(8).fill(1) });
    expect(() => made('mask', 'float16', 2)).toThrow('cannot be float16');
  });

  it('carry tokens in the type that the graph declares', () => {
    const [stage] = plainPackage().manifest.stages;
    if (stage?.kind !== 'loop') throw new Error('the package is a loop');
    expect(tokenFeed(stage, [3, 4])).toEqual({ tokens: int64([3, 4], [1, 2]) });
    const narrow = { ...stage, tokenInput: { ...stage.tokenInput, dtype: 'int32' as const } };
    expect(tokenFeed(narrow, [3, 4])).toEqual({ tokens: int32([3, 4], [1, 2]) });
  });
});

describe('rows of crossing tensors', () => {
  const count = (length: number): Float32Array => Float32Array.from({ length }, (_, at) => at);

  it('come together again as they were cut', () => {
    const declared = [
      { name: 'a', dims: [1, null, 4] },
      { name: 'b', dims: [1, 2, 1, 3] },
      { name: 'fixed', dims: [2] },
    ];
    const whole = {
      a: float32Tensor(count(20), [1, 5, 4]),
      b: float32Tensor(count(30), [1, 2, 5, 3]),
      fixed: float32Tensor(count(2), [2]),
    };
    const pieces = [
      cutRows(whole, declared, 5, 0, 2),
      cutRows(whole, declared, 5, 2, 4),
      cutRows(whole, declared, 5, 4, 5),
    ];
    expect(pieces[1]?.b?.dims).toEqual([1, 2, 2, 3]);
    expect(new Float32Array(pieces[2]?.a?.bytes.slice().buffer ?? new ArrayBuffer())).toEqual(
      count(20).slice(16),
    );
    // `fixed` has as many elements as a piece has rows and is no row of it.
    expect(joinPieces(pieces, declared, 2)).toEqual(whole);
  });

  it('are not guessed', () => {
    const square = { m: float32Tensor(count(25), [1, 5, 5]) };
    const cut = () => cutRows(square, [{ name: 'm', dims: [1, null, null] }], 5, 0, 2);
    expect(cut).toThrow('is not clear');
  });
});

describe('proposals', () => {
  const scores = (...best: readonly number[]): Float32Array =>
    Float32Array.from(best.flatMap((token) => Array.from({ length: 4 }, (_, at) => (at === token ? 1 : 0))));
  const seen: { position: number; answer: readonly number[] }[] = [];
  const picked = (drafts: readonly number[], ...best: readonly number[]): number[] => {
    seen.length = 0;
    return pickTokens(
      scores(...best),
      4,
      { sampling: GREEDY, answer: [7], drafts },
      30,
      (row, _, position, answer) => {
        seen.push({ position, answer });
        return argmax(row);
      },
    );
  };

  it('are confirmed as long as each would have been made', () => {
    expect(picked([], 2)).toEqual([2]);
    expect(picked([2, 3], 2, 3, 1)).toEqual([2, 3, 1]);
    expect(seen).toEqual([
      { position: 30, answer: [7] },
      { position: 31, answer: [7, 2] },
      { position: 32, answer: [7, 2, 3] },
    ]);
    expect(picked([2, 0], 2, 3, 1)).toEqual([2, 3]);
    expect(picked([1, 3], 2, 3, 1)).toEqual([2]);
    expect(seen).toHaveLength(1);
  });
});

describe('room for rows', () => {
  it('grows by a quarter, has a row to spare, and ends with the context', () => {
    expect(capacityFor(1)).toBe(MIN_CAPACITY_ROWS);
    expect(capacityFor(MIN_CAPACITY_ROWS)).toBe(2 * MIN_CAPACITY_ROWS);
    expect(capacityFor(1, 100)).toBe(101);
    expect(capacityFor(1600, 1700)).toBe(1701);
    expect(capacityFor(4096)).toBe(4096 + 1024);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 1, max: 100_000 }),
        (rows, context) => {
          const capacity = capacityFor(rows, context);
          expect(hasRoom(capacity, rows)).toBe(true);
          if (rows <= context) expect(capacity).toBeLessThanOrEqual(context + 1);
          expect(capacity).toBeLessThanOrEqual(Math.max(1.25 * (rows + 1), rows + 1 + MIN_CAPACITY_ROWS));
        },
      ),
    );
  });
});
