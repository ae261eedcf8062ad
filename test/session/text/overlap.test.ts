import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goalOf } from '../../../src/planner/objective.ts';
import { NO_GUESSES } from '../../../src/session/text/guess-book.ts';
import {
  bestPieces,
  DEFAULT_PIECE_ROWS,
  MIN_PIECE_ROWS,
  overlapMs,
  type Stage,
} from '../../../src/session/text/overlap.ts';
import { Pace } from '../../../src/session/text/pace.ts';
import { predictRoute, type Situation } from '../../../src/session/text/predict-route.ts';
import { routeOf } from '../../../src/session/text/route.ts';
import { piecesOf, stagesOf } from '../../../src/session/text/route-stages.ts';
import type { TextPlan } from '../../../src/session/text/types.ts';
import { textManifest } from './fake-places.ts';

const stage: fc.Arbitrary<Stage> = fc.record({
  on: fc.constantFrom('device', 'endpoint', 'up', 'down'),
  ms: fc.double({ min: 0, max: 5000, noNaN: true }),
  againMs: fc.double({ min: 0, max: 50, noNaN: true }),
});
const stages = fc.array(stage, { minLength: 1, maxLength: 6 });
const rows = fc.integer({ min: 1, max: 4000 });
const sum = (all: readonly Stage[]): number => all.reduce((ms, one) => ms + one.ms, 0);

describe('the time of a text in pieces', () => {
  it('is the sum of its stages in one piece', () => {
    fc.assert(fc.property(stages, rows, (all, count) => overlapMs(all, count, 1) === sum(all)));
  });

  it('is that of the busiest place and of what comes before and behind it', () => {
    const free = { againMs: 0 };
    const two: Stage[] = [
      { on: 'device', ms: 100, ...free },
      { on: 'endpoint', ms: 200, ...free },
    ];
    expect(overlapMs(two, 100, 4)).toBe(25 + 200);
    // What one place does twice does not overlap with itself.
    const twice: Stage[] = [...two, { on: 'device', ms: 100, ...free }];
    expect(overlapMs(twice, 100, 4)).toBe((100 + 200 + 100) / 4 + (3 * 200) / 4);
    // 200 rows are two calls anyway; the other two each cost more.
    const dear = two.map((one) => ({ ...one, againMs: 10 }));
    expect(overlapMs(dear, 200, 4)).toBe((120 + 220) / 4 + (3 * 220) / 4);
  });

  it('is never less than what the busiest place has to do, nor more than the sum in the best number', () => {
    fc.assert(
      fc.property(stages, rows, (all, count) => {
        const pieces = bestPieces(all, count);
        const ms = overlapMs(all, count, pieces);
        const least = Math.max(
          ...(['device', 'endpoint', 'up', 'down'] as const).map((on) =>
            sum(all.filter((one) => one.on === on)),
          ),
        );
        expect(ms).toBeLessThanOrEqual(sum(all));
        expect(ms).toBeGreaterThan(least - 1e-6);
        expect(pieces === 1 || count / pieces >= MIN_PIECE_ROWS).toBe(true);
      }),
    );
  });

  it('has more pieces the less a call costs, and one where nothing can overlap', () => {
    const of = (againMs: number): number =>
      bestPieces(
        [
          { on: 'device', ms: 500, againMs },
          { on: 'endpoint', ms: 500, againMs },
        ],
        512,
      );
    expect(of(0)).toBe(512 / MIN_PIECE_ROWS);
    expect(of(5)).toBeGreaterThan(4);
    expect(of(5)).toBeLessThan(of(0));
    // Up to what a lane runs at once, pieces cost nothing.
    expect(of(1e6)).toBe(4);
    expect(bestPieces([{ on: 'device', ms: 500, againMs: 0 }], 512)).toBe(1);
  });
});

describe('the time to the first token of a route', () => {
  const BLOCKS = 6;
  const ALL = { from: 0, to: BLOCKS };
  const manifest = textManifest(BLOCKS);

  function situation(lacking: number): Situation {
    const paces = { device: new Pace(manifest), endpoint: new Pace(manifest) };
    for (const pace of Object.values(paces)) {
      pace.learn(ALL, 1, 12);
      pace.learn(ALL, 128, 6 * 128);
    }
    return {
      manifest,
      paces,
      link: { rttMs: 80, upBytesPerSecond: 1e4, downBytesPerSecond: 1e4, rttSpreadMs: 1, confidence: 1 },
      hasEndpoint: true,
      missingBytes: () => 0,
      buildMs: () => 0,
      canFetch: true,
      lacking: () => lacking,
      newTokens: 1,
      trips: [NO_GUESSES],
      goal: goalOf({}),
    };
  }

  function pieces(plan: Exclude<TextPlan, 'auto'>, count: number, paces = situation(1).paces): number {
    const { legs } = routeOf(plan, BLOCKS);
    const known = { ...situation(1), paces };
    return piecesOf(
      paces,
      legs,
      legs.flatMap((leg) => stagesOf(known, leg, count, true)),
      count,
    );
  }

  it('is less than its parts together for a long text with a cut, by what overlaps', () => {
    const long = situation(512);
    const { ttftMs } = predictRoute(routeOf({ cut: 3 }, BLOCKS), long);
    // 1536 ms at each place and 410 on the line: the one place, the round trip, and a piece of the others.
    expect(ttftMs).toBeGreaterThan(1536 + 80);
    expect(ttftMs).toBeLessThan(1.2 * (1536 + 80));
    const alone = long.paces.device.ms({ from: 0, to: BLOCKS }, 512);
    expect(predictRoute(routeOf('local', BLOCKS), long).ttftMs).toBeCloseTo(alone);
  });

  it('knows that all rows come back where the last blocks are here', () => {
    const here = predictRoute(routeOf({ cut: 2, until: 4 }, BLOCKS), situation(512));
    const there = predictRoute(routeOf({ cut: 2 }, BLOCKS), situation(512));
    const slow = { ...situation(512).link, downBytesPerSecond: 100 };
    const slowly = predictRoute(routeOf({ cut: 2, until: 4 }, BLOCKS), { ...situation(512), link: slow });
    expect(slowly.ttftMs).toBeGreaterThan(here.ttftMs + (512 * 8 * 1000) / 100 - 5000);
    expect(there.ttftMs).toBeGreaterThan(0);
  });

  it('is that of its parts for a token, and pieces are one then', () => {
    const { ttftMs } = predictRoute(routeOf({ cut: 3 }, BLOCKS), situation(1));
    expect(ttftMs).toBeCloseTo(12 + 80 + ((8 + 200 + 8 + 200) / 1e4) * 1000);
    expect(pieces({ cut: 3 }, 1)).toBe(1);
    expect(pieces({ cut: 3 }, 512)).toBeGreaterThan(4);
  });

  it('is that of pieces of a usual size where nothing is measured yet', () => {
    const paces = { device: new Pace(manifest), endpoint: new Pace(manifest) };
    expect(pieces({ cut: 3 }, 4 * DEFAULT_PIECE_ROWS, paces)).toBe(4);
    expect(pieces({ cut: 3 }, DEFAULT_PIECE_ROWS, paces)).toBe(1);
    expect(pieces('local', 1000, paces)).toBe(1);
  });
});
