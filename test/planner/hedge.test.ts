import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { choosePlan } from '../../src/planner/choose.ts';
import { type Known, NEW_DOUBT, observeFinished, ratioDeviation } from '../../src/planner/doubt.ts';
import {
  dueMs,
  expectedSaving,
  hedgeInMs,
  MAX_EXTRA_SHARE,
  secondPlan,
  startsBoth,
} from '../../src/planner/hedge.ts';
import { type GoalOptions, goalOf, PLAN_MODES } from '../../src/planner/objective.ts';
import { speechManifest } from '../fixtures/manifest.ts';
import { endpointOf, inputOf, linkOf, planOf, sideOf } from './sides.ts';

const manifest = speechManifest();
const link = linkOf(20, 1e6, 2e6);
const known: Known = { device: 1, endpoint: 1, link };
const unseen: Known = { ...known, endpoint: 0 };
const goal = goalOf();
const doubt = NEW_DOUBT;
const local = planOf('local', 1_000);
const remote = planOf('remote', 1_000);

/** First and second plan for a goal, on equal sides. */
function pairFor(options: GoalOptions, deviceMs: number, endpointMs: number) {
  const wanted = goalOf(options);
  const { chosen: first, plans } = choosePlan(
    inputOf(manifest, {
      device: sideOf(manifest, deviceMs),
      endpoint: endpointOf(sideOf(manifest, endpointMs)),
      goal: wanted,
    }),
  );
  return { first, second: secondPlan({ first, plans, goal: wanted }), goal: wanted };
}

const speeds = fc.tuple(fc.integer({ min: 50, max: 20_000 }), fc.integer({ min: 50, max: 20_000 }));

describe('the second plan', () => {
  it('is in the other place, whole, and the better one there', () => {
    const split = planOf('split', 900);
    const short = { ...planOf('remote', 700), id: 'remote/fp16' };
    expect(secondPlan({ first: local, plans: [split, remote, short], goal })).toBe(short);
    expect(secondPlan({ first: remote, plans: [remote, split, local], goal })).toBe(local);
    expect(secondPlan({ first: split, plans: [split, local, short], goal })).toBe(short);
    expect(secondPlan({ first: local, plans: [local, split], goal })).toBeUndefined();
  });

  it('fetches no weights, and is none that is ruled out', () => {
    const cold = planOf('local', 100, { weightBytes: 1 });
    expect(secondPlan({ first: remote, plans: [cold], goal })).toBeUndefined();
    expect(secondPlan({ first: local, plans: [{ ...remote, rejected: 'no' }], goal })).toBeUndefined();
  });

  it('sends, with the first, no more than the goal allows', () => {
    const split = planOf('split', 900, { bytesUp: 60_000 });
    const narrow = goalOf({ maxBytesUp: 150_000 });
    expect(secondPlan({ first: split, plans: [split, remote], goal: narrow })).toBeUndefined();
    expect(secondPlan({ first: local, plans: [local, remote], goal: narrow })).toBe(remote);
  });

  it('never uses a place, or shows what, the goal forbids', () => {
    const options = fc.record({
      mode: fc.constantFrom(...PLAN_MODES.filter((mode) => !mode.endsWith('cloud'))),
      objective: fc.constantFrom('private', 'fastest', 'frugal', 'balanced'),
      maxBytesUp: fc.constantFrom(0, 1_000_000_000),
    });
    fc.assert(
      fc.property(options, speeds, (wanted, [deviceMs, endpointMs]) => {
        const { second } = pairFor(wanted as GoalOptions, deviceMs, endpointMs);
        const isClosed =
          wanted.mode === 'only-device' || wanted.objective === 'private' || wanted.maxBytesUp === 0;
        if (isClosed) expect(second?.kind).not.toBe('remote');
      }),
    );
    fc.assert(
      fc.property(speeds, ([deviceMs, endpointMs]) => {
        expect(pairFor({ mode: 'only-cloud' }, deviceMs, endpointMs).second).toBeUndefined();
      }),
    );
  });
});

describe('a start in two places', () => {
  it('is worth it when either may well be the faster one', () => {
    expect(startsBoth(local, remote, { goal, doubt, known: unseen })).toBe(true);
    expect(startsBoth(remote, local, { goal, doubt, known: unseen })).toBe(true);
    expect(startsBoth(local, planOf('remote', 4_000), { goal, doubt, known })).toBe(false);
  });

  it('saves the mean of what the other is faster by', () => {
    // Against the definition, summed over the normal distribution.
    for (const [a, b, deviation] of [
      [1_000, 1_000, 0.2],
      [1_000, 1_500, 0.4],
      [800, 700, 0.1],
    ] as const) {
      let sum = 0;
      const z0 = Math.log(b / a) / deviation;
      for (let z = -8; z < 8; z += 0.001) {
        sum += 0.001 * (Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI)) * Math.max(0, z - z0);
      }
      expect(expectedSaving(a, b, deviation)).toBeCloseTo(a * deviation * sum, 1);
    }
  });

  it('is less likely the more it costs, the surer it is, and the further the plans are apart', () => {
    const ms = fc.integer({ min: 10, max: 20_000 });
    fc.assert(
      fc.property(ms, ms, fc.double({ min: 0.05, max: 2, noNaN: true }), (a, b, deviation) => {
        const saved = expectedSaving(a, b, deviation);
        expect(saved).toBeGreaterThanOrEqual(-1e-3);
        expect(expectedSaving(a, b * 1.5, deviation)).toBeLessThanOrEqual(saved + 1e-3);
        if (b >= a) expect(expectedSaving(a, b, deviation * 1.5)).toBeGreaterThanOrEqual(saved - 1e-3);
      }),
    );
    const dear = goalOf({ objective: { cloud: 5 } });
    expect(startsBoth(local, remote, { goal: dear, doubt, known: unseen })).toBe(false);
    const battery = goalOf({ objective: { energy: 1e4 } });
    expect(startsBoth(remote, local, { goal: battery, doubt, known: unseen })).toBe(false);
    expect(startsBoth(local, remote, { goal: goalOf({ objective: 'frugal' }), doubt, known: unseen })).toBe(
      false,
    );
  });

  it('is worth more where the device was measured while it was busy, and only for its sake', () => {
    const doubted: Known = { ...known, isDeviceDoubted: true };
    const slow = planOf('local', 1_400);
    expect(startsBoth(remote, slow, { goal, doubt, known })).toBe(false);
    expect(startsBoth(remote, slow, { goal, doubt, known: doubted })).toBe(true);
    // What may be faster than it is believed to be needs no other plan beside it.
    expect(startsBoth(local, planOf('remote', 1_100), { goal, doubt, known })).toBe(true);
    const cheap = planOf('remote', 1_350);
    expect(startsBoth(local, cheap, { goal, doubt, known: doubted })).toBe(false);
    // Not even the most that is to be expected makes it the faster one.
    expect(startsBoth(remote, planOf('local', 20_000), { goal, doubt, known: doubted })).toBe(false);
    const lost = { ...doubt, lost: { device: 50, endpoint: 0 } };
    expect(startsBoth(remote, slow, { goal, doubt: lost, known: doubted })).toBe(false);
  });

  it('is not for splits, nor for who prefers a place, nor for savings that nobody notices', () => {
    const state = { goal, doubt, known: unseen };
    expect(startsBoth(planOf('split', 1_000), remote, state)).toBe(false);
    for (const mode of ['prefer-device', 'prefer-cloud'] as const) {
      expect(startsBoth(local, remote, { ...state, goal: goalOf({ mode }) })).toBe(false);
    }
    expect(startsBoth(planOf('local', 20), planOf('remote', 20), state)).toBe(false);
  });

  it('stops when it has cost its share of all work, and goes on when others have worked enough', () => {
    const spent = observeFinished(doubt, {
      plan: local,
      tookMs: 1_000,
      workedMs: 1_000,
      extraMs: 1_000 * MAX_EXTRA_SHARE + 1,
    });
    expect(startsBoth(local, remote, { goal, doubt: spent, known: unseen })).toBe(false);
    const earned = observeFinished(spent, { plan: local, tookMs: 1_000, workedMs: 10_000, extraMs: 0 });
    expect(startsBoth(local, remote, { goal, doubt: earned, known: unseen })).toBe(true);
  });
});

describe('doubt', () => {
  const finished = { plan: local, workedMs: 1, extraMs: 0 };

  it('grows with a surprise and goes with good predictions', () => {
    const surprised = observeFinished(doubt, { ...finished, tookMs: 5_000 });
    expect(surprised.variance).toBeGreaterThan(doubt.variance * 5);
    let calm = surprised;
    for (let count = 0; count < 10; count += 1) calm = observeFinished(calm, { ...finished, tookMs: 1_000 });
    expect(calm.variance).toBeLessThan(surprised.variance / 10);
  });

  it('is less of a side that lost, until it finishes one itself', () => {
    const of = (state: typeof doubt) => ratioDeviation(state, unseen, [local, remote]);
    const lost = observeFinished(doubt, { ...finished, tookMs: 1_000, loser: 'endpoint' });
    expect(of(lost)).toBeLessThan(of(doubt));
    const seen = observeFinished(lost, { ...finished, plan: remote, tookMs: 1_000 });
    expect(seen.lost.endpoint).toBe(0);
  });

  it('stays finite whatever a clock says', () => {
    const wild = fc.double();
    fc.assert(
      fc.property(fc.array(fc.tuple(wild, wild, wild), { maxLength: 20 }), (times) => {
        let state = doubt;
        for (const [tookMs, workedMs, extraMs] of times) {
          state = observeFinished(state, { plan: local, tookMs, workedMs, extraMs });
        }
        expect(Number.isFinite(state.variance) && state.variance >= 0).toBe(true);
        expect(state.workedMs).toBeGreaterThanOrEqual(0);
        expect(state.extraMs).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('a plan that is late', () => {
  const first = planOf('remote', 1_000, { ttftMs: 500 });
  const second = planOf('local', 800);
  const begun = { sinceStartMs: 0, sinceTokenMs: 0, firstTokenMs: 0, tokens: 0, expectedTokens: 11 };
  const state = { goal, doubt, link };
  const inMs = (progress: Partial<typeof begun>, other = second) =>
    hedgeInMs(first, other, { ...begun, ...progress }, state);

  it('is given what it was predicted to take, and some', () => {
    expect(inMs({})).toBeGreaterThan(500);
    expect(inMs({})).toBeLessThan(1_000);
    expect(inMs({ sinceStartMs: 300, sinceTokenMs: 300 })).toBeCloseTo(inMs({}) - 300);
    expect(inMs({ sinceStartMs: 5_000, sinceTokenMs: 5_000 })).toBe(0);
  });

  it('is waited for longer where the other plan takes long or costs much', () => {
    expect(inMs({}, planOf('local', 8_000))).toBeGreaterThan(4_000 - 1);
    const dear = { ...state, goal: goalOf({ objective: { energy: 1_000 } }) };
    expect(hedgeInMs(first, second, begun, dear)).toBeGreaterThan(inMs({}));
  });

  it('is seen at its tokens too: one that does not come, and a pace that is too slow', () => {
    const third = { sinceStartMs: 600, firstTokenMs: 500, tokens: 3 };
    expect(inMs(third)).toBeGreaterThan(0);
    expect(inMs({ ...third, sinceTokenMs: 3_000 })).toBe(0);
    // 50 ms a token were predicted: eight more at 500 are slower than the other plan from its start.
    expect(inMs({ ...third, sinceStartMs: 1_500 })).toBe(0);
    expect(inMs({ ...third, sinceStartMs: 1_500, tokens: 11 })).toBeGreaterThan(0);
  });

  it('gets a finite time of at least 0, and waits no longer for having waited', () => {
    const ms = fc.integer({ min: 0, max: 3_600_000 });
    fc.assert(
      fc.property(ms, ms, ms, fc.nat(50), fc.nat(50), (start, token, more, tokens, expectedTokens) => {
        const at = { ...begun, sinceStartMs: start + token, sinceTokenMs: token, tokens, expectedTokens };
        const waited = { ...at, sinceStartMs: at.sinceStartMs + more, sinceTokenMs: token + more };
        const now = hedgeInMs(first, second, at, state);
        expect(Number.isFinite(now) && now >= 0).toBe(true);
        expect(hedgeInMs(first, second, waited, state)).toBeLessThanOrEqual(now);
      }),
    );
  });

  it('was due token by token, up to its end', () => {
    expect(dueMs(first, 0, 11)).toBe(500);
    expect(dueMs(first, 5, 11)).toBe(750);
    expect(dueMs(first, 40, 11)).toBe(1_000);
    expect(dueMs(first, 0, 0)).toBe(1_000);
  });
});
