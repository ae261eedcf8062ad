import { describe, expect, it } from 'vitest';
import { routeOf } from '../../src/session/text/route.ts';
import { nothingHeld } from '../../src/simulation/text/held.ts';
import { playText } from '../../src/simulation/text/play-text.ts';
import { firstToken, prefill } from '../../src/simulation/text/prefill.ts';
import { summariseText, textRegretOf } from '../../src/simulation/text/text-summary.ts';
import { makeTextWorld } from '../../src/simulation/text/text-world.ts';
import { Truth } from '../../src/simulation/text/truth.ts';
import { llmManifest } from '../fixtures/llm-manifest.ts';

const BLOCKS = 12;
const manifest = llmManifest(BLOCKS);
const REQUESTS = 12;

describe('a simulated world of texts', () => {
  it('comes again from its seed, and is another for another seed', () => {
    expect(playText(manifest, 6, 7)).toEqual(playText(manifest, 6, 7));
    expect(playText(manifest, 6, 7)[0]?.steps).not.toEqual(playText(manifest, 6, 8)[0]?.steps);
  });

  it('has nothing better than what its oracle does', () => {
    for (let seed = 1; seed <= 12; seed += 1) {
      for (const { steps } of playText(manifest, 8, seed)) {
        for (const step of steps) expect(textRegretOf(step)).toBeGreaterThanOrEqual(0);
      }
    }
  });

  it('costs more behind a longer text, for more rows, before code is warm, and in the first call', () => {
    const world = makeTextWorld(manifest, 1, 3);
    const [moment] = world.moments;
    if (moment === undefined) throw new Error('no moment');
    const truth = new Truth(world, moment);
    const all = { from: 0, to: BLOCKS };
    const ms = (rows: number, context: number, runs = Infinity) =>
      truth.work('device', all, rows, context, 1, runs);
    expect(ms(1, 900)).toBeGreaterThan(ms(1, 0));
    expect(ms(64, 0)).toBeGreaterThan(ms(1, 0));
    expect(ms(64, 0)).toBeLessThan(64 * ms(1, 0));
    expect(ms(1, 0, 0)).toBeGreaterThan(1.15 * ms(1, 0));
    // A table is read a row at a time; a call of nothing but a look-up is all overhead.
    const lookup = truth.work('device', { from: 0, to: 1 }, 1, 0, 0);
    expect(lookup).toBeLessThan(truth.work('device', { from: 0, to: 2 }, 1, 0, 0));
  });

  it('has rows pass the device again where the endpoint lacks them', () => {
    const world = makeTextWorld(manifest, 1, 3);
    const [moment] = world.moments;
    if (moment === undefined) throw new Error('no moment');
    const truth = new Truth(world, moment);
    const none = nothingHeld(BLOCKS);
    const here = { ...none, device: none.device.map(() => 400) };
    const both = { ...here, endpoint: none.endpoint.map(() => 400) };
    const split = routeOf({ cut: 4 }, BLOCKS);
    const lagging = firstToken(truth, split, here, 401);
    const level = firstToken(truth, split, both, 401);
    expect(lagging.deviceMs).toBeGreaterThan(10 * level.deviceMs);
  });

  it('has pieces of a prompt overlap under a cut, and nothing in one place', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const world = makeTextWorld(manifest, 1, seed);
      const [moment] = world.moments;
      if (moment === undefined) throw new Error('no moment');
      const truth = new Truth(world, moment);
      for (const cut of [0, 4, 8, BLOCKS]) {
        const route = routeOf({ cut }, BLOCKS);
        const call = { rows: 400, context: 0, picks: 1, runs: 50 };
        const { ms, deviceMs, endpointMs } = prefill(truth, route, call);
        const whole = truth.pass(route, call.rows, 0, 1, 50).ms;
        expect(ms).toBeLessThanOrEqual(whole * (1 + 1e-9));
        expect(ms).toBeGreaterThanOrEqual(Math.max(deviceMs, endpointMs) * (1 - 1e-9));
        if (cut === 0 || cut === BLOCKS) expect(ms).toBeCloseTo(whole, 6);
      }
    }
  });
});

describe('the choice of routes against others, over worlds that change', () => {
  const summaries = summariseText(
    Array.from({ length: 40 }, (_, index) => playText(manifest, REQUESTS, index + 1)).flat(),
  );
  const of = (name: string) => {
    const found = summaries.find(({ agent }) => agent === name);
    if (found === undefined) throw new Error(`nobody is called ${name}`);
    return found;
  };

  it.each(['all local', 'all remote'])('regrets less than %s', (name) => {
    expect(of('isthmus').meanRegret).toBeLessThan(of(name).meanRegret);
  });

  it('stays within its bounds of regret', () => {
    const { meanRegret, nearPure } = of('isthmus');
    expect(meanRegret).toBeLessThan(0.15);
    expect(nearPure).toBeGreaterThan(0.85);
  });
});
