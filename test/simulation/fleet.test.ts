import { describe, expect, it } from 'vitest';
import { makeFleet, playFleet } from '../../src/simulation/fleet.ts';
import { speechManifest } from '../fixtures/manifest.ts';

const WORK = { manifest: speechManifest(), units: { low: 16_000, high: 112_000 }, tokensPerUnit: 3 / 16_000 };
const DEVICES = 1000;

const play = (seed: number, devices = DEVICES) =>
  playFleet(makeFleet({ ...WORK, devices, seed }), [0.5, 1, 2, Infinity], seed);

describe('a simulated fleet', () => {
  it('comes again from its seed', () => {
    expect(play(3, 40)).toEqual(play(3, 40));
    expect(play(3, 40)).not.toEqual(play(4, 40));
  });

  it('gains from reports, and the more so the less private they are', () => {
    const runs = [1, 2, 3].map((seed) => play(seed));
    const mean = (at: number, of: 'meanError' | 'meanRegret' | 'bestPlan') =>
      runs.reduce((sum, run) => sum + (run[at]?.[of] ?? Number.NaN), 0) / runs.length;
    const [guess, half, one, two, open, truth] = [0, 1, 2, 3, 4, 5];
    expect(mean(one, 'meanError')).toBeLessThan(0.6 * mean(guess, 'meanError'));
    expect(mean(one, 'meanRegret')).toBeLessThan(0.4 * mean(guess, 'meanRegret'));
    expect(mean(one, 'bestPlan')).toBeGreaterThan(mean(guess, 'bestPlan'));
    const errors = [guess, half, one, two, open, truth].map((at) => mean(at, 'meanError'));
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
    expect(mean(truth, 'meanRegret')).toBeLessThan(0.01);
  });
});
