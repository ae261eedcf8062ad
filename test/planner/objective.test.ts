import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIsthmusError } from '../../src/errors.ts';
import { choosePlan, LEAST_SPLIT_GAIN } from '../../src/planner/choose.ts';
import { energyRates, joulesOf } from '../../src/planner/energy.ts';
import { type GoalOptions, goalOf, isBearable, PLAN_MODES, scoreOf } from '../../src/planner/objective.ts';
import { speechManifest } from '../fixtures/manifest.ts';
import { endpointOf, inputOf, linkOf, sideOf } from './sides.ts';

const manifest = speechManifest();

/** The device takes 400 ms and the endpoint 80 and 30 of the link: cloud wins on time alone. */
const choose = (goal: GoalOptions, more: Parameters<typeof inputOf>[1] = {}) =>
  choosePlan(inputOf(manifest, { goal: goalOf(goal), ...more }));

function errorOf(act: () => unknown) {
  try {
    act();
  } catch (error) {
    if (isIsthmusError(error)) return error;
    throw error;
  }
  return undefined;
}

describe('an objective', () => {
  it('is the least time by default, whatever else a plan costs', () => {
    const { chosen, plans } = choose({});
    expect(chosen.prediction.totalMs).toBe(Math.min(...plans.map(({ prediction }) => prediction.totalMs)));
    expect(choosePlan(inputOf(manifest)).chosen.id).toBe(chosen.id);
  });

  it('frugal spends less of the endpoint, and never more than fastest does', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 4000 }),
        fc.integer({ min: 20, max: 4000 }),
        fc.integer({ min: 1, max: 300 }),
        (deviceMs, endpointMs, rttMs) => {
          const world = {
            device: sideOf(manifest, deviceMs),
            endpoint: endpointOf(sideOf(manifest, endpointMs)),
            link: linkOf(rttMs, 1e6, 2e6),
          };
          const frugal = choose({ objective: 'frugal' }, world).chosen.prediction;
          const fastest = choose({ objective: 'fastest' }, world).chosen.prediction;
          expect(frugal.endpointMs).toBeLessThanOrEqual(fastest.endpointMs + 1e-9);
          // A cut must promise so much over a plan without one.
          const least = 1 - LEAST_SPLIT_GAIN;
          expect(fastest.totalMs * least).toBeLessThanOrEqual(frugal.totalMs + 1e-9);
        },
      ),
    );
    const { chosen, reason } = choose({ objective: 'frugal' });
    expect(chosen.kind).toBe('local');
    expect(reason).toMatch(/^local: .* preferred to .* by what the options ask for/);
  });

  it('keeps what is private here, and says why the others were ruled out', () => {
    const { chosen, plans } = choose({ objective: 'private' });
    expect(chosen.kind).toBe('local');
    for (const plan of plans.slice(1)) expect(plan.rejected).toContain("'private'");
  });

  it('counts what is late twice where a deadline has a weight', () => {
    const goal = goalOf({ objective: { deadline: 3 }, deadlineMs: 100 });
    const use = { deviceMs: 0, linkMs: 0, endpointMs: 0, bytesUp: 0, bytesDown: 0 };
    expect(scoreOf({ ...use, totalMs: 90 }, goal)).toBe(90);
    expect(scoreOf({ ...use, totalMs: 150 }, goal)).toBe(150 + 3 * 50);
  });

  it('weighs energy by the table it is given', () => {
    const hot = { objective: { latency: 1, energy: 1000 }, energy: { deviceWatts: 50 } } as const;
    const cool = { objective: { latency: 1, energy: 1000 }, energy: { deviceWatts: 0 } } as const;
    const slow = { link: linkOf(200, 1e5, 1e5) };
    expect(choose(hot, slow).chosen.prediction.deviceMs).toBeLessThan(
      choose(cool, slow).chosen.prediction.deviceMs + 1,
    );
    expect(choose(hot, slow).chosen.joules).toBeGreaterThan(0);
  });
});

describe('a mode', () => {
  it('that is exclusive leaves one kind of plan', () => {
    expect(
      choose({ mode: 'only-device' }).plans.filter(({ rejected }) => rejected === undefined),
    ).toHaveLength(1);
    const cloud = choose({ mode: 'only-cloud' });
    expect(cloud.chosen.kind).toBe('remote');
    expect(
      new Set(cloud.plans.filter((plan) => plan.rejected === undefined).map(({ kind }) => kind)),
    ).toEqual(new Set(['remote']));
  });

  it('that prefers a place takes it while it is bearable and ready', () => {
    const near = { device: sideOf(manifest, 150), link: linkOf(10, 1e6, 1e6) };
    expect(choose({}, near).chosen.kind).not.toBe('local');
    expect(choose({ mode: 'prefer-device' }, near).chosen.kind).toBe('local');
    const far = { device: sideOf(manifest, 4000), link: linkOf(10, 1e6, 1e6) };
    expect(choose({ mode: 'prefer-device' }, far).chosen.kind).not.toBe('local');
    expect(choose({ mode: 'prefer-device', deadlineMs: 10_000 }, far).chosen.kind).toBe('local');
    expect(choose({ mode: 'prefer-device' }, { ...near, missingWeightBytes: () => 1 }).chosen.kind).not.toBe(
      'local',
    );
    expect(
      choose({ mode: 'prefer-cloud' }, { device: sideOf(manifest, 60), link: linkOf(5, 1e8, 1e8) }).chosen
        .kind,
    ).toBe('remote');
    expect(choose({ mode: 'prefer-cloud' }, { endpointState: 'down' }).chosen.kind).toBe('local');
  });
});

describe('a limit', () => {
  it('rules out what would send more, and what would hold more', () => {
    const { plans } = choose({ maxBytesUp: 20_000 });
    for (const { kind, rejected, prediction } of plans) {
      expect(rejected !== undefined).toBe(kind !== 'local' && prediction.bytesUp > 20_000);
    }
    const half = manifest.blocks.reduce((sum, { weightBytes }) => sum + weightBytes, 0) / 2;
    const { chosen } = choose({ maxWeightBytes: half });
    expect(chosen.kind).not.toBe('local');
  });

  it('that leaves nothing is named for every plan', () => {
    const error = errorOf(() => choose({ mode: 'only-device', maxWeightBytes: 0 }));
    expect(error?.code).toBe('no-plan');
    const rejected = error?.details.rejected as Record<string, string>;
    expect(rejected.local).toContain('maxWeightBytes');
    expect(rejected.remote).toContain('only-device');
    expect(Object.keys(rejected).length).toBe(choose({}).plans.length);
  });

  it.each<GoalOptions>([
    { objective: 'private', mode: 'only-cloud' },
    { objective: 'private', mode: 'prefer-cloud' },
    { objective: 'cheapest' as never },
    { mode: 'sometimes' as never },
    { deadlineMs: -1 },
    { deadlineMs: Number.NaN },
    { maxBytesUp: -5 },
    { maxWeightBytes: Number.NaN },
    { objective: { latency: -1 } },
    { objective: { latency: 0 } },
    { energy: { deviceWatts: Number.NaN } },
  ])('that contradicts itself or makes no sense is an error: %j', (options) => {
    expect(errorOf(() => goalOf(options))?.code).toBe('bad-option');
  });

  it('of every mode is known', () => {
    for (const mode of PLAN_MODES) expect(goalOf({ mode }).mode).toBe(mode);
  });
});

describe('energy', () => {
  it('is joules: watts times seconds, and bytes times their price', () => {
    const rates = energyRates('phone', 'lte');
    const none = { deviceMs: 0, linkMs: 0, bytesUp: 0, bytesDown: 0 };
    expect(joulesOf({ ...none, deviceMs: 1000 }, rates)).toBe(rates.deviceWatts);
    // 438.39 mW at 1 Mbit/s: a megabyte takes 8 s.
    expect(joulesOf({ ...none, bytesUp: 1e6 }, rates)).toBeCloseTo(0.43839 * 8, 6);
    expect(joulesOf({ ...none, bytesUp: 1e6 }, energyRates('phone', 'wired'))).toBe(0);
  });
});

describe('bearable', () => {
  it('is twice the best, or what the deadline allows', () => {
    expect(isBearable(200, 100, goalOf())).toBe(true);
    expect(isBearable(201, 100, goalOf())).toBe(false);
    expect(isBearable(900, 100, goalOf({ deadlineMs: 1000 }))).toBe(true);
    expect(isBearable(1100, 100, goalOf({ deadlineMs: 1000 }))).toBe(false);
  });
});
