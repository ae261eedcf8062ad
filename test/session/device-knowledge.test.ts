import { describe, expect, it } from 'vitest';
import { unmeasured } from '../../src/device/learned-profile.ts';
import { leavesDeviceIdle } from '../../src/device/recheck.ts';
import { Knowledge } from '../../src/session/knowledge.ts';
import { createMemoryJsonStore } from '../../src/storage/json-store.ts';
import { speechManifest } from '../fixtures/manifest.ts';
import { sideOf } from '../planner/sides.ts';

const WORKLOAD = { units: 64_000, tokens: 10 };

describe('what a session knows of its device', () => {
  it('is not seen anew by the first blocks before an early cut', async () => {
    const manifest = speechManifest();
    let now = 0;
    const clock = { now: () => now, epoch: () => now };
    const knowledge = new Knowledge(manifest, createMemoryJsonStore(), clock);
    knowledge.useDevice(unmeasured(sideOf(manifest, 1_000)));
    now = 5_000;
    await knowledge.observeDevice({ '0:0-1:once': 20 }, WORKLOAD);
    // A device that has become faster meanwhile shows in a look alone, which is due by this.
    expect(knowledge.sinceDeviceMs).toBe(5_000);
    const [once, loop] = manifest.stages;
    const all = {
      [`0:${once?.from}-${once?.to}:once`]: 200,
      [`1:${loop?.from}-${loop?.to}:step`]: 200,
    };
    await knowledge.observeDevice(all, WORKLOAD);
    expect(knowledge.sinceDeviceMs).toBe(0);
  });

  it('is worth a look where plans leave it idle most of the time', () => {
    const plan = (kind: 'local' | 'split' | 'remote', deviceMs: number) =>
      leavesDeviceIdle({ kind, prediction: { deviceMs, totalMs: 400 } });
    expect(plan('remote', 0)).toBe(true);
    expect(plan('split', 20)).toBe(true);
    expect(plan('split', 200)).toBe(false);
    expect(plan('local', 20)).toBe(false);
  });
});
