/** What a session does while nobody asks: bounded, and over when someone does. */
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import {
  isLookDue,
  LOOK_AFTER_REQUESTS,
  MAX_RECHECK_SHARE,
  RECHECK_AFTER_MS,
  RECHECK_QUIET_MS,
  recheckInMs,
} from '../../src/device/recheck.ts';
import { PROBE_INTERVAL_MS } from '../../src/link/probe.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features } from '../endpoint/with-endpoint.ts';
import { isUp, open, startEndpoint, until } from './with-session.ts';

const inputs = { features: features(5, 4) };
const request = { inputs, maxTokens: 3 };
const TEN_MINUTES_MS = 600_000;

let speech: OpenedPackage;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
});

/** A session whose clock and waits belong to the test. */
async function idling() {
  const endpoint = await startEndpoint(speech);
  let offset = 0;
  let begun = 0;
  const waits: { readonly ms: number; readonly end: AbortController }[] = [];
  const opened = await open(speech, {
    port: endpoint.port,
    clock: { now: () => systemClock.now() + offset, epoch: () => systemClock.epoch() },
    device: {
      beforeRun: async ({ segment }) => {
        if (segment.stage === 0 && segment.from === 0) begun += 1;
      },
    },
    parts: {
      timeout: (ms) => {
        const wait = new AbortController();
        waits.push({ ms, end: wait });
        return wait.signal;
      },
    },
  });
  await opened.seen(isUp);
  // What was measured while it opened is borne out, or corrected.
  for (let run = 0; run < 6; run += 1) await opened.session.run({ ...request, plan: 'local' });
  return {
    ...opened,
    later: (ms: number) => {
      offset += ms;
    },
    /** Ends the latest wait of about so many ms, as its time would. */
    elapse: async (least: number, most = least) => {
      const fits = ({ ms }: { ms: number }): boolean => ms >= least && ms <= most;
      await until(() => waits.some(fits));
      waits.findLast(fits)?.end.abort();
    },
    /** Requests and looks that began on the device; told when no more come. */
    runs: async () => {
      for (let before = -1; before !== begun; await new Promise((resolve) => setTimeout(resolve, 50))) {
        before = begun;
      }
      return begun;
    },
    hasRun: () => begun,
  };
}

describe('an idle session', () => {
  it('looks at a device on which nothing ran for a while, once', async () => {
    const { session, later, elapse, runs, hasRun } = await idling();
    const before = await runs();
    await session.run({ ...request, plan: 'remote' });
    later(RECHECK_AFTER_MS);
    await elapse(RECHECK_QUIET_MS, RECHECK_AFTER_MS);
    await until(() => hasRun() > before);
    expect(await runs()).toBe(before + 1);
    // No other wait has begun that would end in one more.
    later(TEN_MINUTES_MS);
    expect(await runs()).toBe(before + 1);
  });

  it('does not wait for a quiet that never comes: a request that needs the endpoint alone leaves the device idle', async () => {
    const { session, later, runs, hasRun } = await idling();
    const before = await runs();
    later(RECHECK_AFTER_MS);
    await session.run({ ...request, plan: 'remote' });
    await until(() => hasRun() > before);
    const looked = await runs();
    // Beside it, and behind it where that look was over by then.
    expect(looked - before).toBeLessThanOrEqual(2);
    await session.run({ ...request, plan: 'remote' });
    await session.run({ ...request, plan: 'remote' });
    expect(await runs()).toBe(looked);
  });

  it('leaves a device alone that has just run', async () => {
    const { session, elapse, runs, hasRun } = await idling();
    const before = await runs();
    await session.run({ ...request, plan: 'remote' });
    // The wait for it is as long as the device is still known for, and another request comes first.
    await session.run({ ...request, plan: 'remote' });
    expect(await runs()).toBe(before);
    await elapse(RECHECK_QUIET_MS + 1, RECHECK_AFTER_MS);
    await until(() => hasRun() > before);
  });

  it('probes a link of which nothing is known any more', async () => {
    const { session, wire, later, elapse } = await idling();
    await session.run({ ...request, plan: 'remote' });
    later(TEN_MINUTES_MS);
    const before = wire.framesUp;
    await elapse(PROBE_INTERVAL_MS);
    await until(() => wire.framesUp > before);
    await session.close();
  });

  it('ends with its session', async () => {
    const { session, wire, later, elapse } = await idling();
    await session.run({ ...request, plan: 'remote' });
    await session.close();
    const before = wire.framesUp;
    later(TEN_MINUTES_MS);
    await elapse(RECHECK_QUIET_MS, PROBE_INTERVAL_MS);
    await new Promise((resolve) => setImmediate(resolve));
    expect(wire.framesUp).toBe(before);
  });
});

describe('the wait for a look at the device', () => {
  const known = { sinceSeenMs: Infinity, sinceCheckMs: Infinity, checkMs: 0, isDoubted: false };

  it('is a short quiet, as long as what ran tells enough, or as long as a look can be afforded', () => {
    expect(recheckInMs(known)).toBe(RECHECK_QUIET_MS);
    expect(recheckInMs({ ...known, sinceSeenMs: RECHECK_AFTER_MS })).toBe(RECHECK_QUIET_MS);
    expect(recheckInMs({ ...known, sinceSeenMs: 1_000 })).toBe(RECHECK_AFTER_MS - 1_000);
    expect(recheckInMs({ ...known, sinceCheckMs: 20_000, checkMs: 1_000 })).toBe(
      1_000 / MAX_RECHECK_SHARE - 20_000,
    );
  });

  it('is over at once, where a look keeps nobody waiting, and first costs are all that is known', () => {
    const justOpened = { ...known, sinceSeenMs: 0, isDoubted: true };
    expect(isLookDue(justOpened)).toBe(true);
    expect(isLookDue({ ...justOpened, isDoubted: false })).toBe(false);
    // Never beyond its share of the time.
    expect(isLookDue({ ...justOpened, sinceCheckMs: 1_000, checkMs: 100 })).toBe(false);
    expect(isLookDue({ ...justOpened, sinceCheckMs: 5_000, checkMs: 100 })).toBe(true);
  });

  it('is over after some requests that ran elsewhere, for a tenth of the time at most', () => {
    const justSeen = { ...known, sinceSeenMs: 500, sinceCheckMs: 2_000, checkMs: 150 };
    expect(isLookDue({ ...justSeen, requests: LOOK_AFTER_REQUESTS - 1 })).toBe(false);
    expect(isLookDue({ ...justSeen, requests: LOOK_AFTER_REQUESTS })).toBe(true);
    expect(isLookDue({ ...justSeen, requests: 100, checkMs: 201 })).toBe(false);
  });
});
