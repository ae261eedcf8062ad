import { describe, expect, it } from 'vitest';
import { choosePlan } from '../../src/planner/choose.ts';
import { hopesForEndpoint } from '../../src/planner/hope.ts';
import { goalOf } from '../../src/planner/objective.ts';
import { speechManifest } from '../fixtures/manifest.ts';
import { endpointOf, inputOf, linkOf, sideOf } from './sides.ts';

const manifest = speechManifest();

describe('the hope for a better link', () => {
  const far = inputOf(manifest, { link: linkOf(60, 6e5, 1e6), codecs: ['fp32'] });

  it('is there where twice the link would change the plan', () => {
    expect(choosePlan(far).chosen.kind).toBe('local');
    expect(hopesForEndpoint(far)).toBe(true);
  });

  it('is not where the device is faster by far, or nothing may leave it', () => {
    expect(hopesForEndpoint({ ...far, device: sideOf(manifest, 40) })).toBe(false);
    expect(hopesForEndpoint({ ...far, goal: goalOf({ mode: 'only-device' }) })).toBe(false);
    expect(hopesForEndpoint({ ...far, goal: goalOf({ maxBytesUp: 0 }) })).toBe(false);
    const { endpoint: _, ...alone } = far;
    expect(hopesForEndpoint(alone)).toBe(false);
  });

  it('is for an endpoint that may be faster than is believed of one that never answered', () => {
    const slow = sideOf(manifest, 900);
    const near = (confidence: number) => ({
      ...far,
      link: linkOf(2, 1e7, 1e7),
      endpoint: endpointOf({ ...slow, confidence }, 0),
    });
    expect(choosePlan(near(0)).chosen.kind).toBe('local');
    expect(hopesForEndpoint(near(0), 10)).toBe(true);
    expect(hopesForEndpoint(near(1), 10)).toBe(false);
  });

  it('is for a shorter wait too', () => {
    const near = { ...far, link: linkOf(2, 1e7, 1e7), endpoint: endpointOf(sideOf(manifest, 80), 420) };
    expect(choosePlan(near).chosen.kind).toBe('local');
    expect(hopesForEndpoint(near)).toBe(true);
  });
});
