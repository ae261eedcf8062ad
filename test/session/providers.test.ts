/** Which provider runs is measured once, remembered, and changed between requests when another is faster. */
import { beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import type { SessionEvent } from '../../src/session/types.ts';
import { createMemoryJsonStore, type JsonStore } from '../../src/storage/json-store.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { DeviceFiles, NodeDevice, type NodeDeviceOptions } from '../fixtures/node-device.ts';
import { open, until } from './with-session.ts';

const MAX_TOKENS = 6;
const inputs = { features: features(5, 4) };

let speech: OpenedPackage;
let expected: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  expected = await reference(speech, inputs.features, MAX_TOKENS);
});

const profiles = (events: readonly SessionEvent[]) =>
  events.flatMap((event) => (event.type === 'profile' ? [event] : []));

describe('a profile', () => {
  it('is measured once for a device and a model, and kept', async () => {
    const store = createMemoryJsonStore();
    const first = await open(speech, { store });
    expect(profiles(first.events)).toMatchObject([{ provider: 'wasm', cached: false }]);
    expect(first.devices[0]?.runs).toBeGreaterThan(0);
    await first.session.close();
    const second = await open(speech, { store });
    expect(profiles(second.events)).toMatchObject([{ provider: 'wasm', cached: true }]);
    expect(second.devices[0]?.runs).toBe(0);
    expect((await second.session.run({ inputs, maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
    // Another browser is another device.
    const other = await open(speech, { store, parts: { agent: 'another' } });
    expect(profiles(other.events)).toMatchObject([{ cached: false }]);
  });

  it('holds what requests taught', async () => {
    const store = createMemoryJsonStore();
    let ms = 1;
    const device = { reportMs: () => ms };
    const first = await open(speech, { store, device });
    const before = (await first.session.explain()).chosen.prediction.totalMs;
    ms = 50;
    for (let request = 0; request < 4; request += 1) {
      await first.session.run({ inputs, maxTokens: MAX_TOKENS });
    }
    await first.session.close();
    const second = await open(speech, { store, device });
    expect((await second.session.explain()).chosen.prediction.totalMs).toBeGreaterThan(5 * before);
  });

  it.each<keyof JsonStore>(['get', 'set'])('is not needed: a store whose %s fails', async (call) => {
    const broken = () => Promise.reject(new IsthmusError('storage-failed', 'the disk is full'));
    const store: JsonStore = { ...createMemoryJsonStore(), [call]: broken };
    const { session, events } = await open(speech, { store });
    expect(profiles(events)).toMatchObject([{ cached: false }]);
    const { tokens, report } = await session.run({ inputs, maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    expect(report.abandoned).toEqual([]);
  });

  it('of another shape than ours is measured again', async () => {
    const store: JsonStore = { ...createMemoryJsonStore(), get: async () => ({ version: 'other' }) };
    const { events } = await open(speech, { store });
    expect(profiles(events)).toMatchObject([{ cached: false }]);
  });
});

/** A session whose own runner takes 10 ms a run by its account, and a rival. */
async function against(rival: NodeDeviceOptions, own: NodeDeviceOptions = {}) {
  const files = new DeviceFiles(speech);
  const deadlines: { readonly ms: number; readonly controller: AbortController }[] = [];
  const timeout = (ms: number): AbortSignal => {
    const controller = new AbortController();
    deadlines.push({ ms, controller });
    return controller.signal;
  };
  const opened = await open(speech, {
    files,
    device: { ...own, reportMs: () => 10 },
    rivals: ['webgpu'],
    startRunner: async (provider) => new NodeDevice(files, { ...rival, provider }),
    parts: { timeout },
  });
  return { ...opened, deadlines };
}

describe('a rival', () => {
  it('that was measured slower is ended and not used', async () => {
    const { session, devices } = await against({ reportMs: () => 100 });
    await until(() => devices[1]?.reason !== undefined);
    expect(devices[1]?.reason?.code).toBe('closed');
    expect(session.provider).toBe('wasm');
    expect((await session.run({ inputs, maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
    expect(devices[0]?.reason).toBeUndefined();
  });

  it('that was measured faster takes over', async () => {
    const { session, devices, events } = await against({ reportMs: () => 1 });
    await until(() => session.provider === 'webgpu');
    await until(() => devices[0]?.reason !== undefined);
    const { tokens, report } = await session.run({ inputs, maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    expect(report).toMatchObject({ abandoned: [], plan: { provider: 'webgpu' } });
    // It runs: no plan waits for it to start.
    expect((await session.explain()).chosen).toMatchObject({ id: 'local', prediction: { weightsMs: 0 } });
    expect(profiles(events).map(({ provider }) => provider)).toEqual(['wasm', 'webgpu']);
  });

  it('takes over between requests, however they crowd', async () => {
    let isArmed = false;
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let rivalHeld: () => void = () => undefined;
    const rivalWaits = new Promise<void>((resolve) => {
      rivalHeld = resolve;
    });
    const { session, devices, events } = await against(
      { reportMs: () => 1, beforeRun: () => rivalWaits },
      {
        beforeRun: async () => {
          if (isArmed) await held;
        },
      },
    );
    isArmed = true;
    const run = () => session.run({ inputs, maxTokens: MAX_TOKENS });
    const crowd = [run(), run(), run()];
    rivalHeld();
    // The rival has been measured and waits for its turn, behind all three.
    await until(() => profiles(events).length === 2);
    const late = [run(), run()];
    letGo();
    for (const { tokens, report } of await Promise.all([...crowd, ...late])) {
      expect(tokens).toEqual(expected);
      expect(report.abandoned).toEqual([]);
    }
    await until(() => session.provider === 'webgpu');
    expect((await run()).report.plan.provider).toBe('webgpu');
    expect(devices[0]?.reason?.code).toBe('closed');
  });

  it('that hangs loses at its limit and is ended', async () => {
    const { session, devices, deadlines } = await against({ beforeRun: () => new Promise(() => undefined) });
    await until(() => deadlines.length > 0);
    // Ten times what the first took, and never less than a worker needs to start.
    expect(deadlines[0]?.ms).toBeGreaterThanOrEqual(5_000);
    await until(() => (devices[1]?.runs ?? 0) > 0);
    deadlines[0]?.controller.abort(new DOMException('late', 'TimeoutError'));
    await until(() => devices[1]?.reason !== undefined);
    expect(session.provider).toBe('wasm');
    expect((await session.run({ inputs, maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
  });

  it('that hangs as it starts loses too, and is ended when it has started after all', async () => {
    const files = new DeviceFiles(speech);
    let started: (device: NodeDevice) => void = () => undefined;
    const starting = new Promise<NodeDevice>((resolve) => {
      started = resolve;
    });
    const controller = new AbortController();
    let asked = false;
    const { session } = await open(speech, {
      files,
      rivals: ['webgpu'],
      startRunner: () => {
        asked = true;
        return starting;
      },
      parts: { timeout: () => controller.signal },
    });
    await until(() => asked);
    controller.abort(new DOMException('late', 'TimeoutError'));
    const late = new NodeDevice(files, { provider: 'webgpu' });
    started(late);
    await until(() => late.reason !== undefined);
    expect(session.provider).toBe('wasm');
  });

  it('that fails to start changes nothing', async () => {
    const { session } = await open(speech, {
      rivals: ['webgpu'],
      startRunner: () => Promise.reject(new IsthmusError('no-provider', 'no adapter')),
    });
    expect((await session.run({ inputs, maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
    expect(session.provider).toBe('wasm');
  });

  it('is ended with the session that measures it', async () => {
    const { session, devices } = await against({ beforeRun: () => new Promise(() => undefined) });
    await until(() => (devices[1]?.runs ?? 0) > 0);
    await session.close();
    await until(() => devices[1]?.reason !== undefined);
    expect(devices[1]?.reason?.code).toBe('closed');
  });
});
