import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GREEDY } from '../../../src/core/sampling.ts';
import { IsthmusError } from '../../../src/errors.ts';
import type { Want } from '../../../src/runtime/lane.ts';
import type { RouteRun } from '../../../src/session/text/lane-set.ts';
import { MAX_ROWS_IN_FLIGHT } from '../../../src/session/text/pipeline.ts';
import { type PlaceName, type Route, routeOf } from '../../../src/session/text/route.ts';
import { fillRoute, startsOf } from '../../../src/session/text/run-route.ts';
import { nextToken } from './fake-lane.ts';
import { TimedWorld, type Timing } from './timed-lane.ts';

const BLOCKS = 6;
const ALIKE: Timing = { device: 1, endpoint: 1, up: 1, down: 1, rtt: 40, call: 0 };
const PICK: Want = { kind: 'pick', pick: { sampling: GREEDY, answer: [], drafts: [] } };
const SPLIT = routeOf({ cut: 2 }, BLOCKS);
const U = routeOf({ cut: 2, until: 4 }, BLOCKS);

const text = (length: number): number[] => Array.from({ length }, (_, at) => (at * 5 + (at >> 3)) % 7);
const inPieces = (count: number): Pick<RouteRun, 'pieces'> => ({ pieces: () => count });

function pass(world: TimedWorld, route: Route, tokens: readonly number[], more: Partial<RouteRun> = {}) {
  const run = world.run(more);
  const starts = startsOf(route.legs, world.lanes, tokens.length - 1);
  return world.time.run(fillRoute(route, run, tokens, starts, PICK));
}

const at = (world: TimedWorld, place: PlaceName, from: number) =>
  world.seen.filter((one) => one.place === place && one.from === from);

describe('pieces of a text through the legs of a route', () => {
  it('are made here while earlier ones run there', async () => {
    const world = new TimedWorld(BLOCKS, ALIKE);
    const tokens = text(40);
    const { tokens: picked } = await pass(world, SPLIT, tokens, inPieces(4));
    expect(picked).toEqual([nextToken(tokens)]);
    const here = at(world, 'device', 0);
    const there = at(world, 'endpoint', 2);
    expect(here.map(({ position }) => position)).toEqual([0, 10, 20, 30]);
    expect(there.map(({ position }) => position)).toEqual([0, 10, 20, 30]);
    for (const [index, { ended }] of there.slice(0, -1).entries()) {
      expect(here[index + 1]?.began).toBeLessThan(ended);
    }
    // Each piece is 20 ms here, 10 on the line and 40 there; the round trip is waited for once.
    expect(world.time.now()).toBe(20 + 10 + 4 * 40 + 40);
    const whole = new TimedWorld(BLOCKS, ALIKE);
    await pass(whole, SPLIT, tokens, inPieces(1));
    expect(whole.time.now()).toBe(80 + 40 + 160 + 40);
  });

  it('take turns on the device where a route passes it twice', async () => {
    const world = new TimedWorld(BLOCKS, ALIKE);
    await pass(world, U, text(80), inPieces(8));
    const order = world.seen.filter(({ place }) => place === 'device').map(({ from }) => from);
    // The last blocks' rows come in between, not behind all of the first ones'.
    expect(order.indexOf(4)).toBeLessThan(order.lastIndexOf(0));
    expect(at(world, 'device', 4).map(({ position }) => position)).toEqual([0, 10, 20, 30, 40, 50, 60, 70]);
    const whole = new TimedWorld(BLOCKS, ALIKE);
    await pass(whole, U, text(80), inPieces(1));
    expect(world.time.now()).toBeLessThan(0.75 * whole.time.now());
  });

  it('pass only the legs that lack them, the next ones right behind', async () => {
    const world = new TimedWorld(BLOCKS, ALIKE);
    const tokens = text(60);
    await pass(world, routeOf({ cut: 4 }, BLOCKS), tokens.slice(0, 30), inPieces(3));
    await world.lanes.device.rewind(10);
    world.seen.length = 0;
    const { tokens: picked } = await pass(world, routeOf({ cut: 4 }, BLOCKS), tokens, inPieces(3));
    expect(picked).toEqual([nextToken(tokens)]);
    expect(at(world, 'device', 0).map(({ position, rows }) => [position, rows])).toEqual([
      [10, 20],
      [30, 10],
      [40, 10],
      [50, 10],
    ]);
    expect(at(world, 'endpoint', 4).map(({ position }) => position)).toEqual([30, 40, 50]);
  });

  it('are one call a leg where they are few, as without pieces', async () => {
    const world = new TimedWorld(BLOCKS, ALIKE);
    await pass(world, U, text(12));
    expect(world.seen.map(({ place, from, rows }) => [place, from, rows])).toEqual([
      ['device', 0, 12],
      ['endpoint', 2, 12],
      ['device', 4, 12],
    ]);
  });

  it('keep the rows that are picked from together', async () => {
    const tokens = text(50);
    const drafts = [1, 2, 3, 4, 5, 6, 0, 1, 2, 3];
    const world = new TimedWorld(BLOCKS, ALIKE);
    const want: Want = { kind: 'pick', pick: { sampling: GREEDY, answer: [], drafts } };
    const starts = startsOf(SPLIT.legs, world.lanes, tokens.length - 1);
    const filling = fillRoute(SPLIT, world.run(inPieces(8)), [...tokens, ...drafts], starts, want);
    const { tokens: picked } = await world.time.run(filling);
    expect(picked[0]).toBe(nextToken(tokens));
    expect(at(world, 'endpoint', 2).at(-1)?.rows).toBeGreaterThanOrEqual(drafts.length + 1);
  });

  it('wait here while as many are under way as may be, and are not waited for otherwise', async () => {
    const slow = new TimedWorld(BLOCKS, { ...ALIKE, device: 0.001, endpoint: 50 });
    const tokens = text(3000);
    const { tokens: picked } = await pass(slow, SPLIT, tokens, inPieces(60));
    expect(picked).toEqual([nextToken(tokens)]);
    expect(slow.mostFlying).toBeLessThanOrEqual(MAX_ROWS_IN_FLIGHT);
    expect(slow.mostFlying).toBeGreaterThan(MAX_ROWS_IN_FLIGHT - 50);
  });

  it('take the time of a call for what it took behind the one before it', async () => {
    const world = new TimedWorld(BLOCKS, { ...ALIKE, up: 0, rtt: 0 });
    const told: [PlaceName, number, number][] = [];
    await pass(world, SPLIT, text(40), {
      ...inPieces(4),
      onLeg: ({ place }, rows, ms) => told.push([place, rows, ms]),
    });
    expect(told.filter(([place]) => place === 'device')).toEqual(Array(4).fill(['device', 10, 20]));
    expect(told.filter(([place]) => place === 'endpoint')).toEqual(Array(4).fill(['endpoint', 10, 40]));
  });
});

const world = fc.record({
  device: fc.constantFrom(0.1, 1, 5),
  endpoint: fc.constantFrom(0.1, 1, 5),
  up: fc.constantFrom(0, 1, 10),
  down: fc.constantFrom(0, 1, 10),
  rtt: fc.constantFrom(0, 20, 300),
  call: fc.constantFrom(0, 7),
});

const anyRoute: fc.Arbitrary<Route> = fc
  .tuple(fc.integer({ min: 0, max: BLOCKS - 1 }), fc.integer({ min: 1, max: BLOCKS }))
  .map(([a, b]) => routeOf({ cut: Math.min(a, b), until: Math.max(a, b) }, BLOCKS));

describe('a run in pieces that fails or is aborted', () => {
  it('leaves books that say what is held, and goes on from there to the same token', async () => {
    await fc.assert(
      fc.asyncProperty(
        world,
        anyRoute,
        fc.integer({ min: 1, max: 150 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 30 }),
        fc.constantFrom('fails here', 'fails there', 'aborts', 'none'),
        async (timing, route, length, pieces, when, what) => {
          const made = new TimedWorld(BLOCKS, timing);
          const tokens = text(length);
          const abort = new AbortController();
          let calls = 0;
          made.onCall = (place) => {
            calls += 1;
            if (calls - 1 !== when) return;
            if (what === 'aborts') abort.abort();
            const fails = what === (place === 'device' ? 'fails here' : 'fails there');
            if (fails) throw new IsthmusError('endpoint-lost', 'gone');
          };
          const running = pass(made, route, tokens, { ...inPieces(pieces), signal: abort.signal });
          const first = await running.catch((error: unknown) => error);
          if (first instanceof Error) {
            expect(first).toMatchObject({ code: what === 'aborts' ? 'aborted' : 'endpoint-lost' });
          }
          // No book says more than there is. An endpoint may still run what an abort has let go of.
          if (what !== 'aborts') expect(made.flying).toBe(0);
          for (const { place, span } of route.legs) {
            const held = made.lanes[place].filled(span);
            expect(held).toBeLessThanOrEqual(made.inner[place].filled(span));
            if (first instanceof Error) expect(held).toBeLessThanOrEqual(tokens.length);
            else expect(held).toBe(tokens.length);
          }
          made.onCall = () => undefined;
          for (const lane of Object.values(made.lanes)) lane.rewind(tokens.length - 1);
          const { tokens: picked } = await pass(made, route, tokens, inPieces(pieces));
          expect(picked).toEqual([nextToken(tokens)]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('begins nothing behind the piece that was aborted', async () => {
    const made = new TimedWorld(BLOCKS, ALIKE);
    const abort = new AbortController();
    made.onCall = (place, { position }) => {
      if (place === 'endpoint' && position === 10) abort.abort();
    };
    await expect(
      pass(made, SPLIT, text(400), { ...inPieces(40), signal: abort.signal }),
    ).rejects.toMatchObject({ code: 'aborted' });
    expect(at(made, 'device', 0).length).toBeLessThan(10);
  });

  it('tells whose failure it was, not of the calls that fell with it', async () => {
    const made = new TimedWorld(BLOCKS, ALIKE);
    const gone = new IsthmusError('endpoint-failed', 'gone');
    made.onCall = (place, { position }) => {
      if (place === 'endpoint' && position === 10) throw gone;
    };
    await expect(pass(made, SPLIT, text(100), inPieces(10))).rejects.toBe(gone);
    expect(made.lanes.endpoint.hasThrown(gone)).toBe(true);
    expect(made.lanes.device.hasThrown(gone)).toBe(false);
    expect(made.lanes.endpoint.filled({ from: 2, to: BLOCKS })).toBe(10);
  });
});
