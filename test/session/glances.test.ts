/** Looks beside requests: at a link that a request here leaves idle, never beside what was asked for by name. */
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { unmeasured } from '../../src/device/learned-profile.ts';
import { GLANCE_AFTER_MS, MAX_GLANCE_BYTES_PER_MINUTE, PING_AFTER_MS } from '../../src/link/glance.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { goalOf } from '../../src/planner/objective.ts';
import { Knowledge } from '../../src/session/knowledge.ts';
import { LinkGlances } from '../../src/session/link-glances.ts';
import type { Shared } from '../../src/session/parts.ts';
import type { Planned } from '../../src/session/request.ts';
import type { RunOptions } from '../../src/session/types.ts';
import { createMemoryJsonStore } from '../../src/storage/json-store.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features } from '../endpoint/with-endpoint.ts';
import { speechManifest } from '../fixtures/manifest.ts';
import { planOf, sideOf, WORKLOAD } from '../planner/sides.ts';
import { isUp, open, startEndpoint } from './with-session.ts';

const inputs = { features: features(5, 4) };
const UNSEEN_MS = 45_000;

let speech: OpenedPackage;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
});

/** Bytes that went up beside one request, by a session that did not see its link for a while. */
async function bytesBeside(options: Partial<RunOptions>) {
  const endpoint = await startEndpoint(speech);
  let offset = 0;
  const { session, wire, seen } = await open(speech, {
    port: endpoint.port,
    clock: { now: () => systemClock.now() + offset, epoch: () => systemClock.epoch() },
    parts: { timeout: () => new AbortController().signal },
  });
  await seen(isUp);
  const request = { inputs, maxTokens: 3 };
  for (let run = 0; run < 3; run += 1) await session.run({ ...request, plan: 'local' });
  await session.run({ ...request, plan: 'remote' });
  offset += UNSEEN_MS;
  const { bytesUp } = wire;
  const { report } = await session.run({ ...request, hedge: 'never', ...options });
  return { plan: report.plan.id, bytes: wire.bytesUp - bytesUp, close: () => session.close() };
}

describe('beside a request', () => {
  it.each([
    ['a plan that was asked for', { plan: 'local' as const }],
    ['a device that everything stays on', { mode: 'only-device' as const }],
    ['a data budget that leaves no room', { maxBytesUp: 1 }],
  ])('nothing is sent for %s', async (_, options) => {
    const { plan, bytes, close } = await bytesBeside(options);
    expect(plan).toBe('local');
    expect(bytes).toBe(0);
    await close();
  });
});

describe('a link that a local request leaves idle', () => {
  /** A device and a link between which a better link would decide; pings are counted. */
  function between(pinged: (paddingBytes: number) => number, deviceMs = 400) {
    let now = 0;
    const clock = { now: () => now, epoch: () => now };
    const manifest = speechManifest();
    const knowledge = new Knowledge(manifest, createMemoryJsonStore(), clock);
    knowledge.useDevice(unmeasured(sideOf(manifest, deviceMs)));
    knowledge.observeLoad({ queueMs: 0, paces: [] });
    for (let count = 0; count < 6; count += 1) {
      knowledge.observeLink({ kind: 'rtt', ms: 60 });
      knowledge.observeLink({ kind: 'transfer', direction: 'up', bytes: 60_000, ms: 160 });
    }
    const shared = {
      parts: { manifest, clock, weightsElsewhere: false },
      options: {},
      device: { missingBytes: () => 0, loadMs: () => 0, runtime: 'started', runner: { provider: 'wasm' } },
      knowledge,
      link: { state: 'up', ping: async (_: number, { length }: Uint8Array) => pinged(length) },
    } as unknown as Shared;
    const goal = goalOf();
    const planned = { plan: planOf('local', deviceMs), choice: 'auto', workload: WORKLOAD, goal } as const;
    const glances = new LinkGlances(shared);
    return {
      knowledge,
      beside: (more: Partial<Planned> = {}) => glances.beside({ ...planned, ...more }),
      later: (ms: number) => {
        now += ms;
      },
    };
  }

  it('is seen to be better within one request, for a few bytes', async () => {
    const sent: number[] = [];
    const { knowledge, beside, later } = between((bytes) => {
      sent.push(bytes);
      return 10 + bytes / 10_000;
    });
    const before = knowledge.estimateLink();
    later(GLANCE_AFTER_MS);
    await beside();
    const after = knowledge.estimateLink();
    expect(after.rttMs).toBeLessThan(before.rttMs / 2);
    expect(after.upBytesPerSecond).toBeGreaterThan(2 * before.upBytesPerSecond);
    const bytes = sent.reduce((sum, one) => sum + one, 0);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(MAX_GLANCE_BYTES_PER_MINUTE);
    await beside();
    expect(sent).toHaveLength(4);
  });

  it('is asked sooner, by an empty ping, whether it is another one altogether', async () => {
    const sent: number[] = [];
    let rttMs = 60;
    const { knowledge, beside, later } = between((bytes) => {
      sent.push(bytes);
      return rttMs + (rttMs * bytes) / 36_000;
    }, 100);
    const before = knowledge.estimateLink();
    await beside();
    expect(sent).toEqual([]);
    later(PING_AFTER_MS);
    await beside();
    expect(sent).toEqual([0]);
    // As it was: the next question waits longer, and nothing was learned that would keep a glance from coming.
    later(PING_AFTER_MS);
    await beside({ goal: goalOf({ mode: 'only-device' }) });
    await beside();
    expect(sent).toEqual([0]);
    rttMs = 2;
    later(PING_AFTER_MS);
    await beside({ goal: goalOf({ mode: 'only-device' }) });
    expect(sent).toEqual([0]);
    await beside();
    expect(sent.filter((bytes) => bytes > 0)).toHaveLength(2);
    expect(sent.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(MAX_GLANCE_BYTES_PER_MINUTE);
    const after = knowledge.estimateLink();
    expect(after.rttMs).toBeLessThan(before.rttMs / 2);
    expect(after.upBytesPerSecond).toBeGreaterThan(5 * before.upBytesPerSecond);
  });

  it('is left alone where it was just seen, where the plan uses it, and where nothing would change', async () => {
    const sent: number[] = [];
    const { beside, later } = between((bytes) => {
      sent.push(bytes);
      return 60 + bytes / 600;
    });
    await beside();
    later(GLANCE_AFTER_MS);
    await beside({ plan: planOf('remote', 400) });
    await beside({ goal: goalOf({ mode: 'only-device' }) });
    expect(sent).toEqual([]);
    await beside();
    expect(sent).toHaveLength(2);
  });
});
