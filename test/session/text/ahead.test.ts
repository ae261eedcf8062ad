/** A text that runs at the endpoint while the device's blocks come one by one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float32Tensor } from '../../../src/core/tensor.ts';
import { IsthmusError } from '../../../src/errors.ts';
import { goalOf } from '../../../src/planner/objective.ts';
import { CATCH_UP_ROWS, climb, nextClimb } from '../../../src/session/text/climb.ts';
import { TextEngine } from '../../../src/session/text/engine.ts';
import type { TextRequest } from '../../../src/session/text/engine-types.ts';
import { HeldLane } from '../../../src/session/text/held-lane.ts';
import { KeptRows, MAX_KEPT_BYTES } from '../../../src/session/text/kept-rows.ts';
import type { PlanPeriod } from '../../../src/session/text/types.ts';
import { FakeLane, reference } from './fake-lane.ts';
import { FakePlaces } from './fake-places.ts';
import { textRequest } from './text-request.ts';

const BLOCKS = 5;
const PROMPT = [1, 2, 3, 1, 2];
const SHY = goalOf({ mode: 'prefer-device' });

interface Arrival {
  /** Tokens of the answer by then. */
  readonly at: number;
  readonly here: number;
}

/** Blocks arrive while tokens do. */
function arriving(places: FakePlaces, arrivals: readonly Arrival[], more: Partial<TextRequest> = {}) {
  const periods: PlanPeriod[] = [];
  let count = 0;
  const asked = textRequest({
    tokens: PROMPT,
    move: true,
    goal: SHY,
    maxTokens: 400,
    onPeriod: (period) => periods.push(period),
    onToken: () => {
      count += 1;
      for (const { at, here } of arrivals) {
        if (at !== count) continue;
        places.here = here;
        places.change();
      }
      return false;
    },
    ...more,
  });
  return { asked, periods };
}

function placesWith(here: number): { places: FakePlaces; engine: TextEngine } {
  const places = new FakePlaces(BLOCKS);
  places.here = here;
  const engine = new TextEngine(places);
  engine.paces.device.learn({ from: 0, to: BLOCKS }, 1, 5);
  return { places, engine };
}

const deviceLanes = (places: FakePlaces): readonly FakeLane[] =>
  places.lanes.filter(({ place }) => place === 'device').map(({ lane }) => lane);

describe('a device whose weights still come', () => {
  it('has run what is here when the last block arrives, and no row twice', async () => {
    const { places, engine } = placesWith(0);
    let behind = Infinity;
    const { asked, periods } = arriving(places, [
      { at: 10, here: 2 },
      { at: 150, here: 4 },
      { at: 250, here: 5 },
    ]);
    const rowsAt = new Map<number, number>();
    let count = 0;
    const { tokens } = await engine.run({
      ...asked,
      onToken: (token, holdMs) => {
        count += 1;
        const [lane] = deviceLanes(places);
        if (lane !== undefined) rowsAt.set(count, lane.rows);
        if (count === 250) behind = PROMPT.length + count - 1 - (lane?.filled({ from: 0, to: 4 }) ?? 0);
        return asked.onToken(token, holdMs);
      },
    });
    expect(tokens).toEqual(reference(PROMPT, 400));
    expect(periods.map(({ plan }) => plan)).toEqual(['remote', 'local']);
    expect(behind).toBeLessThan(3 * CATCH_UP_ROWS);
    const lanes = deviceLanes(places);
    expect(lanes).toHaveLength(1);
    // All rows but the last, each once through each block, and one that is rehearsed.
    expect(lanes[0]?.rows).toBe((PROMPT.length + 400 - 1 + 1) * BLOCKS);
    // From tokens each once too: what waits for later blocks is kept, not made again.
    expect(lanes[0]?.sawTokens).toHaveLength(PROMPT.length + 400 - 1 + 1);
    expect(rowsAt.get(140)).toBeGreaterThan(0);
  });

  it('runs nothing for a text that would not move', async () => {
    const cases: readonly Partial<TextRequest>[] = [
      { move: false, plan: 'remote' },
      { plan: 'remote' },
      { goal: goalOf({ mode: 'only-cloud' }) },
    ];
    for (const more of cases) {
      const { places, engine } = placesWith(3);
      const { asked } = arriving(places, [], { maxTokens: 100, ...more });
      await engine.run(asked);
      expect(deviceLanes(places)).toEqual([]);
    }
  });

  it('keeps what it has run for the next turn', async () => {
    const { places, engine } = placesWith(3);
    const { asked } = arriving(places, [], { maxTokens: 100 });
    const { tokens } = await engine.run(asked);
    const [lane] = deviceLanes(places);
    const ran = lane?.rows ?? 0;
    expect(ran).toBeGreaterThan(2 * CATCH_UP_ROWS * 3);
    places.here = BLOCKS;
    const next = [...PROMPT, ...tokens, 4, 4];
    const second = await engine.run(textRequest({ tokens: next, plan: 'local', maxTokens: 20 }));
    expect(second.tokens).toEqual(reference(next, 20));
    expect(deviceLanes(places)).toHaveLength(1);
    expect(lane?.rows).toBe((next.length + 20 - 1) * BLOCKS);
  });

  it('changes no token, whatever arrives when, fails, or is said differently in the next turn', async () => {
    const arrival = fc.record({
      at: fc.integer({ min: 1, max: 150 }),
      here: fc.integer({ min: 0, max: BLOCKS }),
    });
    const cases = fc.record({
      first: fc.array(arrival, { maxLength: 4 }),
      second: fc.array(arrival, { maxLength: 4 }),
      common: fc.integer({ min: 0, max: 160 }),
      failing: fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ first, second, common, failing }) => {
        const { places, engine } = placesWith(0);
        let calls = 0;
        places.onCall = (place) => {
          if (place !== 'device') return;
          calls += 1;
          if (failing.includes(calls)) throw new IsthmusError('run-failed', 'as the test wants it');
        };
        const growing = (arrivals: readonly Arrival[]): Arrival[] =>
          [...arrivals]
            .sort((a, b) => a.at - b.at)
            .map((one) => ({ ...one, here: Math.max(one.here, places.here ?? 0) }));
        const one = await engine.run(arriving(places, growing(first), { maxTokens: 150 }).asked);
        expect(one.tokens).toEqual(reference(PROMPT, 150));
        const next = [...[...PROMPT, ...one.tokens].slice(0, common), 6, 5, 6];
        const two = await engine.run(
          arriving(places, growing(second), { tokens: next, maxTokens: 150 }).asked,
        );
        expect(two.tokens).toEqual(reference(next, 150));
      }),
      { numRuns: 60 },
    );
  });
});

describe('a climb', () => {
  it('comes to the goal over any steps, and every block holds the text', async () => {
    const step = fc.record({
      end: fc.integer({ min: 1, max: BLOCKS }),
      upTo: fc.integer({ min: 0, max: 200 }),
      rewind: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const fake = new FakeLane({ blocks: BLOCKS });
        const lane = new HeldLane(fake, BLOCKS);
        let tokens = Array.from({ length: 200 }, (_, at) => (at * at) % 7);
        for (const { end, upTo, rewind } of steps) {
          if (rewind !== undefined) {
            lane.rewind(rewind);
            tokens = tokens.map((token, at) => (at < rewind ? token : (token + 1) % 7));
          }
          const goal = { end, upTo, tokens };
          let calls = 0;
          for (let next = nextClimb(lane, goal); next !== undefined; next = nextClimb(lane, goal)) {
            await climb(lane, next);
            calls += 1;
            expect(calls).toBeLessThan(100);
          }
          expect(lane.filled({ from: 0, to: end })).toBeGreaterThanOrEqual(upTo);
        }
        const all = { from: 0, to: BLOCKS };
        const held = lane.filled(all);
        const state = await fake.readState(all, 0, held);
        const expected = float32Tensor(Float32Array.from(tokens.slice(0, held)), [held]);
        for (const tensor of Object.values(state)) expect(tensor).toEqual(expected);
      }),
    );
  });
});

describe('rows that wait for blocks', () => {
  const chunk = (from: number, rows: number, bytes = 8) => ({
    from,
    rows,
    tensors: { h: float32Tensor(new Float32Array(bytes / 4), [bytes / 4]) },
  });

  it('are found until they are released or the text changes', () => {
    const kept = new KeptRows();
    kept.put(2, chunk(0, 32));
    kept.put(2, chunk(32, 32));
    kept.put(4, chunk(0, 16));
    expect(kept.bytes).toBe(24);
    expect(kept.find(2, 40)?.from).toBe(32);
    expect(kept.find(2, 64)).toBeUndefined();
    expect(kept.find(3, 0)).toBeUndefined();
    kept.release(2, 32);
    expect(kept.find(2, 31)).toBeUndefined();
    expect(kept.find(2, 32)?.from).toBe(32);
    kept.rewind(63);
    expect(kept.find(2, 32)).toBeUndefined();
    expect(kept.find(4, 15)?.rows).toBe(16);
    kept.put(4, chunk(8, 8));
    expect(kept.find(4, 0)).toBeUndefined();
    kept.rewind(0);
    expect(kept.bytes).toBe(0);
  });

  it('are no more than a device is asked to hold', () => {
    const kept = new KeptRows();
    expect(kept.isFull).toBe(false);
    kept.put(1, chunk(0, 32, MAX_KEPT_BYTES));
    expect(kept.isFull).toBe(true);
  });
});
