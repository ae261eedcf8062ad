import { describe, expect, it } from 'vitest';
import { unmeasured } from '../../src/device/learned-profile.ts';
import { priorSide } from '../../src/device/prior.ts';
import { wholeMs } from '../../src/device/span-ms.ts';
import type { ServedPace } from '../../src/protocol/endpoint-load.ts';
import { Knowledge } from '../../src/session/knowledge.ts';
import { ToldLoad } from '../../src/session/told-load.ts';
import { createMemoryJsonStore } from '../../src/storage/json-store.ts';
import { speechManifest } from '../fixtures/manifest.ts';

const manifest = speechManifest();
const WORK = { units: 64_000, tokens: 20 };
const PACES: readonly ServedPace[] = [
  { segment: '0:0-7:once', units: 64_000, ms: 35 },
  { segment: '1:7-14:init', units: 166, ms: 4 },
  { segment: '1:7-14:step', units: 1, ms: 1.5 },
];

function knowing() {
  const clock = { now: () => 0, epoch: () => 0 };
  const knowledge = new Knowledge(manifest, createMemoryJsonStore(), clock);
  return { knowledge, measured: () => knowledge.useDevice(unmeasured(priorSide(manifest, 'wasm'))) };
}

const there = ({ endpoint }: Knowledge) => wholeMs(endpoint.side, manifest, WORK);

describe('what an endpoint tells of itself', () => {
  it('replaces the guess about it before anything was asked', () => {
    const { knowledge, measured } = knowing();
    measured();
    knowledge.observeLoad({ queueMs: 40, paces: PACES });
    expect(there(knowledge)).toBeCloseTo(35 + 4 + 20 * 1.5, 0);
    expect(knowledge.endpoint.queueMs).toBe(40);
  });

  it('is kept until the device is known, for guesses begin there', () => {
    const { knowledge, measured } = knowing();
    knowledge.observeLoad({ queueMs: 40, paces: PACES });
    measured();
    expect(there(knowledge)).toBeCloseTo(35 + 4 + 20 * 1.5, 0);
  });

  it('leaves out what does not fit the model', () => {
    const { knowledge, measured } = knowing();
    measured();
    const before = there(knowledge);
    const paces = [
      { segment: '9:0-7:once', units: 1, ms: 1 },
      { segment: 'nonsense', units: 1, ms: 1 },
      { segment: '1:7-14:step', units: 64, ms: 1 },
    ];
    knowledge.observeLoad({ queueMs: 0, paces });
    expect(there(knowledge)).toBe(before);
  });
});

describe('news', () => {
  it('is what changed since it was last told', () => {
    const told = new ToldLoad();
    expect(told.news({ queueMs: 0, paces: PACES })).toEqual(PACES);
    expect(told.news({ queueMs: 0, paces: PACES })).toEqual([]);
    const later = PACES.map((pace, index) => (index === 0 ? { ...pace, ms: 70 } : pace));
    expect(told.news({ queueMs: 0, paces: later })).toEqual(later.slice(0, 1));
  });

  it('is not what the session itself asked for', () => {
    const told = new ToldLoad();
    told.news({ queueMs: 0, paces: [] });
    told.served();
    expect(told.news({ queueMs: 0, paces: PACES })).toEqual([]);
    expect(told.news({ queueMs: 0, paces: [{ segment: '0:0-7:once', units: 9, ms: 9 }] })).toHaveLength(1);
  });

  it('is told to who listens, and at once what was known', () => {
    const told = new ToldLoad();
    told.news({ queueMs: 0, paces: PACES });
    const heard: ServedPace[] = [];
    told.listen((pace) => heard.push(pace));
    expect(heard).toEqual(PACES);
    told.news({ queueMs: 0, paces: [{ segment: '0:0-7:once', units: 9, ms: 9 }] });
    expect(heard).toHaveLength(4);
  });
});
