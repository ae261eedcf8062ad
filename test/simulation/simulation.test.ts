import { describe, expect, it } from 'vitest';
import { type Episode, playWorld, regretOf } from '../../src/simulation/run.ts';
import { summarise } from '../../src/simulation/summary.ts';
import { makeWorld, type World } from '../../src/simulation/world.ts';
import { speechManifest } from '../fixtures/manifest.ts';

const WORK = { manifest: speechManifest(), units: { low: 16_000, high: 112_000 }, tokensPerUnit: 3 / 16_000 };
const WORLDS = 120;
const REQUESTS = 40;

const play = (seed: number, requests = REQUESTS) => playWorld(makeWorld({ ...WORK, requests, seed }), seed);

describe('a simulated world', () => {
  it('comes again from its seed, and is another for another seed', () => {
    expect(play(7, 8)).toEqual(play(7, 8));
    expect(play(7, 8)[0]?.steps).not.toEqual(play(8, 8)[0]?.steps);
  });

  it('has no plan better than the best one', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      for (const { steps } of play(seed, 10)) {
        for (const step of steps) {
          expect(regretOf(step)).toBeGreaterThanOrEqual(0);
          expect(step.oracleMs).toBeLessThanOrEqual(Math.min(step.localMs, step.remoteMs));
        }
      }
    }
  });
});

describe('the planner against others, over worlds that change', () => {
  const episodes = Array.from({ length: WORLDS }, (_, index) => play(index + 1)).flat();
  const summaries = summarise(episodes);
  const of = (name: string) => {
    const found = summaries.find(({ agent }) => agent === name);
    if (found === undefined) throw new Error(`nobody is called ${name}`);
    return found;
  };

  it.each(['all local', 'all remote', 'offline profile', 'UCB bandit', 'static best'])(
    'regrets less than %s',
    (name) => {
      expect(of('isthmus').meanRegret).toBeLessThan(of(name).meanRegret);
    },
  );

  it('stays within its bounds of regret', () => {
    const { meanRegret, p95Regret } = of('isthmus');
    expect(meanRegret).toBeLessThan(0.05);
    expect(p95Regret).toBeLessThan(0.15);
  });
});

describe('who asks without a pause', () => {
  const WITHIN = 10;
  /** Isthmus in the first worlds of a kind. */
  const inWorlds = (count: number, requests: number, fits: (world: World) => boolean): readonly Episode[] => {
    const found: Episode[] = [];
    for (let seed = 1; found.length < count; seed += 1) {
      const world = makeWorld({ ...WORK, requests, seed });
      if (world.isBurst && fits(world)) found.push(...playWorld(world, seed).slice(0, 1));
    }
    return found;
  };

  it('is not left with a plan for a device that was slow only while the session opened', () => {
    const [summary] = summarise(inWorlds(60, 24, ({ openingFactor }) => openingFactor > 1.5));
    const regrets = summary?.afterOpening.slice(1, WITHIN) ?? [];
    expect(regrets).toHaveLength(WITHIN - 1);
    for (const regret of regrets) expect(regret).toBeLessThan(0.05);
  });
});
