import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addMeasurements,
  isStale,
  MAX_MEASUREMENTS,
  MAX_PROFILE_CHARS,
  newProfile,
  PROFILE_MAX_AGE_MS,
  type ProfileKey,
  parseProfile,
  profileId,
  serialiseProfile,
} from '../../src/device/profile.ts';

const KEY: ProfileKey = { model: 'ab'.repeat(32), provider: 'wasm', threads: 2, agent: 'Browser/1.0' };
const ONE = { segment: { stage: 0, from: 0, to: 7 }, phase: 'once', units: 64_000, ms: 81.5 } as const;
const NOW = 1_700_000_000_000;
const stored = () => addMeasurements(newProfile(KEY, NOW), [ONE], NOW);

describe('parseProfile', () => {
  it('gives back what was stored', () => {
    expect(parseProfile(serialiseProfile(stored()), KEY)).toEqual(stored());
  });

  it('does not take a profile of anything else for this one', () => {
    const others: ProfileKey[] = [
      { ...KEY, model: 'cd'.repeat(32) },
      { ...KEY, provider: 'webgpu' },
      { ...KEY, threads: 4 },
      { ...KEY, agent: 'Browser/2.0' },
    ];
    for (const key of others) expect(parseProfile(serialiseProfile(stored()), key)).toBeUndefined();
    expect(new Set([KEY, ...others].map(profileId)).size).toBe(5);
  });

  it.each<[string, (profile: Record<string, unknown>) => unknown]>([
    ['another version', (profile) => ({ ...profile, version: 2 })],
    ['no version', ({ version: _, ...profile }) => profile],
    ['a time that is none', (profile) => ({ ...profile, measuredAt: 'today' })],
    ['measurements that are no list', (profile) => ({ ...profile, measurements: {} })],
    ['too many', (profile) => ({ ...profile, measurements: new Array(MAX_MEASUREMENTS + 1).fill(ONE) })],
    ['an unknown phase', (profile) => ({ ...profile, measurements: [{ ...ONE, phase: 'twice' }] })],
    ['negative ms', (profile) => ({ ...profile, measurements: [{ ...ONE, ms: -1 }] })],
    ['ms of null', (profile) => ({ ...profile, measurements: [{ ...ONE, ms: null }] })],
    [
      'an empty segment',
      (profile) => ({ ...profile, measurements: [{ ...ONE, segment: { stage: 0, from: 2, to: 2 } }] }),
    ],
    [
      'a fraction of a block',
      (profile) => ({ ...profile, measurements: [{ ...ONE, segment: { stage: 0, from: 0.5, to: 2 } }] }),
    ],
    ['no segment', (profile) => ({ ...profile, measurements: [{ ...ONE, segment: null }] })],
    ['a key of another kind', (profile) => ({ ...profile, key: 'wasm' })],
    ['a list', (profile) => [profile]],
    ['null', () => null],
  ])('refuses %s', (_, change) => {
    const changed = change(JSON.parse(serialiseProfile(stored())));
    expect(parseProfile(JSON.stringify(changed), KEY)).toBeUndefined();
  });

  it('refuses what is no string, no JSON or far too long', () => {
    const long = `${serialiseProfile(stored())}${' '.repeat(MAX_PROFILE_CHARS)}`;
    for (const value of [undefined, 5, stored(), '', '{', long])
      expect(parseProfile(value, KEY)).toBeUndefined();
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string(), fc.anything()), (value) => {
        expect(parseProfile(value, KEY)).toBeUndefined();
      }),
    );
  });
});

describe('a stored profile', () => {
  it('replaces a measurement of the same work and keeps those of others', () => {
    const again = { ...ONE, ms: 90 };
    const other = { ...ONE, units: 16_000, ms: 22 };
    const after = addMeasurements(stored(), [other, again], NOW + 5);
    expect(after.measurements).toEqual([other, again]);
    expect(after.measuredAt).toBe(NOW + 5);
  });

  it('keeps the latest measurements when there are too many', () => {
    const many = Array.from({ length: MAX_MEASUREMENTS + 10 }, (_, units) => ({ ...ONE, units }));
    const after = addMeasurements(newProfile(KEY, NOW), many, NOW);
    expect(after.measurements).toEqual(many.slice(10));
    expect(serialiseProfile(after).length).toBeLessThan(MAX_PROFILE_CHARS);
  });

  it('is stale when old, or when it comes from the future', () => {
    expect(isStale(stored(), NOW)).toBe(false);
    expect(isStale(stored(), NOW + PROFILE_MAX_AGE_MS)).toBe(false);
    expect(isStale(stored(), NOW + PROFILE_MAX_AGE_MS + 1)).toBe(true);
    expect(isStale(stored(), NOW - 3_600_000)).toBe(false);
    expect(isStale(stored(), NOW - 48 * 3_600_000)).toBe(true);
  });
});
