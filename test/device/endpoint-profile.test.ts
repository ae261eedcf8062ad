import { describe, expect, it } from 'vitest';
import {
  type EndpointProfile,
  endpointPrior,
  endpointSide,
  observeEndpoint,
  observeServed,
  parseSegmentKey,
  queueQuantile,
} from '../../src/device/endpoint-profile.ts';
import { priorSide } from '../../src/device/prior.ts';
import { prefixMs, spanMs, wholeMs } from '../../src/device/span-ms.ts';
import { speechManifest } from '../fixtures/manifest.ts';

const manifest = speechManifest();
const device = priorSide(manifest, 'wasm');
const workload = { units: 64_000, tokens: 20 };
const REPORT = {
  segments: { '0:0-7:once': 35, '1:7-14:init': 4, '1:7-14:step': 20 * 1.5 },
  queueMs: 6,
  turns: 1,
  workload,
};

const whole = (profile: EndpointProfile) =>
  spanMs(prefixMs(profile.learned.side, manifest, workload.units), { from: 0, to: 14 });

describe('endpoint profile', () => {
  it('starts as a faster copy of the device that nobody is sure of', () => {
    const prior = endpointSide(endpointPrior(device));
    expect(wholeMs(prior.side, manifest, workload)).toBeLessThan(wholeMs(device, manifest, workload));
    expect(prior.side.confidence).toBe(0);
    expect(prior.side.provider).toBe('cpu');
    expect(prior.queueMs).toBe(0);
  });

  it('is what the endpoint reports after its first answer, steps counted one by one', () => {
    const seen = observeEndpoint(endpointPrior(device), manifest, REPORT);
    expect(whole(seen).once).toBeCloseTo(35);
    expect(whole(seen).init).toBeCloseTo(4);
    expect(whole(seen).step).toBeCloseTo(1.5);
    expect(seen.learned.side.confidence).toBeGreaterThan(0.2);
  });

  it('believes two waits in a row that agree, for a load that came and for one that went, and no single one', () => {
    const waits = (...ms: number[]) =>
      ms.reduce(
        (known, queueMs) => observeEndpoint(known, manifest, { ...REPORT, queueMs, turns: 1 }),
        endpointPrior(device),
      );
    const quiet = Array<number>(9).fill(0);
    expect(queueQuantile(waits(...quiet, 350), 0.5)).toBe(0);
    expect(queueQuantile(waits(...quiet, 350, 300), 0.5)).toBeGreaterThanOrEqual(300);
    expect(queueQuantile(waits(...quiet, 350, 0, 300), 0.5)).toBe(0);
    expect(queueQuantile(waits(...quiet, 350, 40), 0.5)).toBe(0);
    const loaded = Array<number>(9).fill(350);
    expect(queueQuantile(waits(...loaded, 0, 1), 0.5)).toBeLessThan(2);
    expect(queueQuantile(waits(...loaded, 0, 340, 360), 0.5)).toBe(350);
  });

  it('follows a change of load within 10 requests, its queue included', () => {
    let profile = endpointPrior(device);
    for (let index = 0; index < 10; index += 1) profile = observeEndpoint(profile, manifest, REPORT);
    const loaded = {
      ...REPORT,
      queueMs: 400,
      segments: { '0:0-7:once': 140, '1:7-14:init': 16, '1:7-14:step': 20 * 6 },
    };
    for (let index = 0; index < 10; index += 1) profile = observeEndpoint(profile, manifest, loaded);
    expect(whole(profile).once / 140).toBeGreaterThan(0.85);
    expect(whole(profile).once / 140).toBeLessThan(1.15);
    expect(whole(profile).step / 6).toBeGreaterThan(0.85);
    expect(endpointSide(profile).queueMs / 400).toBeGreaterThan(0.85);
    expect(endpointSide(profile).queueMs / 400).toBeLessThan(1.15);
  });

  it('shares waiting among the round trips and keeps quantiles', () => {
    let profile = endpointPrior(device);
    for (const queueMs of [10, 20, 30, 40, 1_000]) {
      profile = observeEndpoint(profile, manifest, { ...REPORT, queueMs, turns: 10 });
    }
    expect(queueQuantile(profile, 0.5)).toBe(3);
    expect(queueQuantile(profile, 0.9)).toBe(100);
    expect(queueQuantile(profile, 0)).toBe(1);
    expect(queueQuantile(profile, 1)).toBe(100);
  });

  it('takes what is told of late waits for all that was seen before', () => {
    let profile = endpointPrior(device);
    for (let index = 0; index < 9; index += 1) {
      profile = observeEndpoint(profile, manifest, { ...REPORT, queueMs: 400, turns: 1 });
    }
    // The others have left: who asks nothing meanwhile hears of it at once.
    expect(endpointSide(observeServed(profile, manifest, 10, [])).queueMs).toBeCloseTo(10);
    // What cannot be says nothing.
    expect(endpointSide(observeServed(profile, manifest, Number.NaN, [])).queueMs).toBeGreaterThan(350);
  });

  it('leaves out of a report what does not fit the model or no clock can say', () => {
    const prior = endpointPrior(device);
    const segments = {
      '0:0-8:once': 1,
      '0:3-2:once': 1,
      '7:0-1:once': 1,
      '0:0-7:often': 1,
      '0:0-7:once': Number.NaN,
      '0:0-6:once': -5,
      __proto__: 3,
      '': 2,
    };
    const wrong = { ...REPORT, segments, queueMs: Number.NaN };
    expect(observeEndpoint(prior, manifest, wrong)).toEqual(prior);
    expect(observeEndpoint(prior, manifest, { ...wrong, queueMs: 5, turns: 0 })).toEqual(prior);
  });

  it('does not divide by steps that were not run', () => {
    const none = { ...REPORT, segments: { '1:7-14:step': 5 }, workload: { units: 64_000, tokens: 0 } };
    const prior = endpointPrior(device);
    expect(observeEndpoint(prior, manifest, none).learned).toEqual(prior.learned);
  });
});

describe('parseSegmentKey', () => {
  it('reads what executors write', () => {
    expect(parseSegmentKey('1:7-14:step')).toEqual({ segment: { stage: 1, from: 7, to: 14 }, phase: 'step' });
  });

  it.each([
    '',
    '1:7-14',
    '1:7-14:',
    '1:-7-14:step',
    'x1:7-14:step',
    '1:7-14:stepx',
    '1:7e1-14:step',
    `${'9'.repeat(40)}:0-1:once`,
  ])('refuses %j', (key) => expect(parseSegmentKey(key)).toBeUndefined());
});
