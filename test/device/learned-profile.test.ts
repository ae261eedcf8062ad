import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitProfile } from '../../src/device/fit.ts';
import { fadeProfile, type LearnedProfile, observe, unmeasured } from '../../src/device/learned-profile.ts';
import { priorSide } from '../../src/device/prior.ts';
import { prefixMs, spanMs } from '../../src/device/span-ms.ts';
import { speechManifest } from '../fixtures/manifest.ts';

const manifest = speechManifest();
const UNITS = 64_000;
const ENCODER = { stage: 0, from: 0, to: 7 };
const DECODER = { stage: 1, from: 7, to: 14 };

const onceMs = (profile: LearnedProfile, from = 0, to = 7) =>
  spanMs(prefixMs(profile.side, manifest, UNITS), { from, to }).once;
const stepMs = (profile: LearnedProfile) =>
  spanMs(prefixMs(profile.side, manifest, UNITS), { from: 7, to: 14 }).step;

const measured = () =>
  fitProfile(manifest, 'wasm', [
    { segment: ENCODER, phase: 'once', units: UNITS, ms: 100 },
    { segment: DECODER, phase: 'step', units: 1, ms: 10 },
  ]);

function repeat(profile: LearnedProfile, times: number, ms: number): LearnedProfile {
  let next = profile;
  for (let time = 0; time < times; time += 1) next = observe(next, ENCODER, 'once', UNITS, ms);
  return next;
}

describe('observe', () => {
  it('believes the first measurement of what was a guess', () => {
    const guess = unmeasured(priorSide(manifest, 'wasm'));
    expect(onceMs(observe(guess, ENCODER, 'once', UNITS, 3_333))).toBeCloseTo(3_333);
    expect(onceMs(observe(guess, ENCODER, 'once', UNITS, 3))).toBeCloseTo(3);
  });

  it('scales what was never measured with what was', () => {
    const guess = unmeasured(priorSide(manifest, 'wasm'));
    const seen = observe(guess, ENCODER, 'once', UNITS, 5 * onceMs(guess));
    expect(stepMs(seen) / stepMs(guess)).toBeCloseTo(5);
  });

  it('follows a lasting change of speed within 10 observations', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 10, noNaN: true }), (factor) => {
        const after = repeat(repeat(measured(), 20, 100), 10, 100 * factor);
        expect(onceMs(after) / (100 * factor)).toBeGreaterThan(0.85);
        expect(onceMs(after) / (100 * factor)).toBeLessThan(1.15);
      }),
    );
  });

  it('carries part of a drift over to costs measured elsewhere', () => {
    const slower = repeat(measured(), 10, 300);
    expect(stepMs(slower)).toBeGreaterThan(12);
    expect(stepMs(slower)).toBeLessThan(30);
  });

  it('is moved little by one pause', () => {
    const known = repeat(measured(), 10, 100);
    expect(onceMs(observe(known, ENCODER, 'once', UNITS, 60_000))).toBeLessThan(160);
  });

  it('corrects a segment without moving the proportions inside it', () => {
    const after = observe(measured(), { stage: 0, from: 0, to: 3 }, 'once', UNITS, 90);
    expect(onceMs(after, 0, 1)).toBeCloseTo(onceMs(after, 2, 3));
    expect(onceMs(after, 0, 1)).toBeGreaterThan(onceMs(after, 3, 4));
  });

  it('grows surer with every observation, and less sure with age', () => {
    const before = measured();
    const after = repeat(before, 5, 100);
    expect(after.side.confidence).toBeGreaterThan(before.side.confidence);
    const old = fadeProfile(after, 3);
    expect(old.side.confidence).toBeLessThan(before.side.confidence);
    expect(old.side.blocks).toEqual(after.side.blocks);
  });

  it('gives a cost to what was thought to cost nothing', () => {
    const free = {
      ...priorSide(manifest, 'wasm'),
      blocks: manifest.blocks.map(() => ({ once: { base: 0, perUnit: 0 } })),
    };
    expect(onceMs(observe(unmeasured(free), ENCODER, 'once', UNITS, 70))).toBeCloseTo(70);
  });

  it('leaves the profile as it was for what cannot be true', () => {
    const profile = measured();
    for (const ms of [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e9]) {
      expect(observe(profile, ENCODER, 'once', UNITS, ms)).toBe(profile);
    }
    expect(observe(profile, { stage: 0, from: 90, to: 99 }, 'once', UNITS, 5)).toBe(profile);
    expect(observe(profile, ENCODER, 'step', 1, 5)).toBe(profile);
    expect(observe(profile, ENCODER, 'once', Number.NaN, 5)).toBe(profile);
  });

  it('stays finite and above 0 whatever is observed', () => {
    const times = fc.array(fc.oneof(fc.double(), fc.double({ min: 0, max: 1e5 }), fc.constant(0)));
    fc.assert(
      fc.property(times, (seen) => {
        const after = seen.reduce((next, ms) => observe(next, ENCODER, 'once', UNITS, ms), measured());
        expect(onceMs(after)).toBeGreaterThan(0);
        expect(Number.isFinite(onceMs(after))).toBe(true);
        expect(after.side.confidence).toBeLessThanOrEqual(1);
      }),
    );
  });
});
