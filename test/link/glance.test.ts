import { describe, expect, it } from 'vitest';
import { type LinkObservation, type LinkState, NEW_LINK, observeLink } from '../../src/link/estimator.ts';
import {
  GLANCE_AFTER_MS,
  GLANCE_AFTER_REQUESTS,
  GLANCE_GAP_MS,
  isNews,
  isOtherLink,
  isPingDue,
  MAX_GLANCE_BYTES_PER_MINUTE,
  MAX_PING_BYTES,
  NO_GLANCES,
  NO_PINGS,
  noteGlance,
  PING_AFTER_MS,
  PING_AFTER_REQUESTS,
  PING_GAP_MS,
  pingBytes,
  planGlance,
} from '../../src/link/glance.ts';

const RTT_MS = 50;
const transfer = (bytesPerSecond: number, bytes = 60_000): LinkObservation => {
  return { kind: 'transfer', direction: 'up', bytes, ms: RTT_MS + (1000 * bytes) / bytesPerSecond };
};

/** A link that was seen often until 0. */
function linkOf(bytesPerSecond: number): LinkState {
  return Array.from({ length: 8 }).reduce<LinkState>(
    (link) => observeLink(observeLink(link, { kind: 'rtt', ms: RTT_MS }, 0), transfer(bytesPerSecond), 0),
    NEW_LINK,
  );
}

const slow = linkOf(100_000);
const fast = linkOf(10_000_000);
const free = { maxBytesUp: Infinity };

describe('a glance at the link', () => {
  it('is for one that was not seen for a while, and costs less the slower it is', () => {
    expect(planGlance(slow, NO_GLANCES, { now: GLANCE_AFTER_MS - 1, ...free })).toBeUndefined();
    const bytes = planGlance(slow, NO_GLANCES, { now: GLANCE_AFTER_MS, ...free }) ?? 0;
    expect(bytes).toBeGreaterThan(0);
    expect(planGlance(fast, NO_GLANCES, { now: GLANCE_AFTER_MS, ...free })).toBeGreaterThan(bytes);
  });

  it('waits longer when the last told nothing new, and no longer when it did', () => {
    const inVain = noteGlance(NO_GLANCES, { now: 0, bytes: 1, isNews: false });
    const now = GLANCE_AFTER_MS;
    expect(planGlance(slow, inVain, { now, ...free })).toBeUndefined();
    expect(planGlance(slow, inVain, { now: 2 * now, ...free })).toBeDefined();
    const news = noteGlance(inVain, { now: 0, bytes: 1, isNews: true });
    expect(planGlance(slow, news, { now, ...free })).toBeDefined();
  });

  it('comes after some requests where these come one after another, and ten are over before the clock says so', () => {
    const after = (requests: number) => planGlance(slow, NO_GLANCES, { now: 1, requests, ...free });
    expect(after(GLANCE_AFTER_REQUESTS - 1)).toBeUndefined();
    expect(after(GLANCE_AFTER_REQUESTS)).toBeDefined();
    const inVain = noteGlance(NO_GLANCES, { now: 0, bytes: 1, isNews: false });
    const gap = 2 * GLANCE_GAP_MS;
    const again = (requests: number, now = gap) => planGlance(slow, inVain, { now, requests, ...free });
    expect(again(GLANCE_AFTER_REQUESTS)).toBeUndefined();
    expect(again(10)).toBeDefined();
    // What is sent beside requests holds up a device that is wholly at work.
    expect(again(10, gap - 1)).toBeUndefined();
    expect(isPingDue(slow, NO_PINGS, PING_GAP_MS, PING_AFTER_REQUESTS - 1)).toBe(false);
    expect(isPingDue(slow, NO_PINGS, PING_GAP_MS, PING_AFTER_REQUESTS)).toBe(true);
    expect(isPingDue(slow, NO_PINGS, PING_GAP_MS - 1, PING_AFTER_REQUESTS)).toBe(false);
    for (const vain of [1, 3, 100]) {
      const pings = { at: 0, inVain: vain };
      expect(isPingDue(slow, pings, 2 * PING_GAP_MS, PING_AFTER_REQUESTS)).toBe(false);
      // However often it was in vain: within ten requests that take a tenth of a second each there is one.
      expect(isPingDue(slow, pings, 2 * PING_GAP_MS, 2 * PING_AFTER_REQUESTS)).toBe(true);
      expect(isPingDue(slow, pings, 2 * PING_GAP_MS - 1, 99)).toBe(false);
    }
    expect(isPingDue(slow, NO_PINGS, PING_AFTER_MS)).toBe(true);
  });

  it('takes few bytes along in a ping where the rate is low, and tells by them one that is another', () => {
    const now = 0;
    const bytes = pingBytes(slow, now, Infinity);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(MAX_PING_BYTES);
    expect(pingBytes(fast, now, Infinity)).toBe(0);
    expect(pingBytes(slow, now, bytes - 1)).toBe(0);
    // The round trip is what it was: only the bytes tell.
    const far = linkOf(50_000);
    const few = pingBytes(far, now, Infinity);
    const trip = { kind: 'rtt', ms: RTT_MS } as const;
    expect(isOtherLink(far, [trip, transfer(50_000, few)], now)).toBe(false);
    const sooner = { kind: 'transfer', direction: 'up', bytes: few, ms: 5 } as const;
    expect(isOtherLink(far, [trip, sooner], now)).toBe(true);
  });

  it('may be had once more where the link is another', () => {
    const now = 1;
    const spent = noteGlance(NO_GLANCES, { now, bytes: MAX_GLANCE_BYTES_PER_MINUTE, isNews: true });
    expect(planGlance(slow, spent, { now, ...free, isOther: true })).toBeDefined();
    const twice = noteGlance(spent, { now, bytes: MAX_GLANCE_BYTES_PER_MINUTE, isNews: true });
    expect(planGlance(slow, twice, { now, ...free, isOther: true })).toBeUndefined();
  });

  it('sends no more than its bytes a minute, nor than a request may', () => {
    const now = 10 * GLANCE_AFTER_MS;
    const spent = noteGlance(NO_GLANCES, { now, bytes: MAX_GLANCE_BYTES_PER_MINUTE, isNews: true });
    expect(planGlance(slow, spent, { now, ...free })).toBeUndefined();
    expect(planGlance(slow, spent, { now: now + 60_000, ...free })).toBeDefined();
    const bytes = planGlance(fast, NO_GLANCES, { now, ...free }) ?? 0;
    expect(2 * bytes).toBeLessThanOrEqual(MAX_GLANCE_BYTES_PER_MINUTE);
    expect(planGlance(fast, NO_GLANCES, { now, maxBytesUp: 2 * bytes - 1 })).toBeUndefined();
    expect(planGlance(slow, NO_GLANCES, { now, maxBytesUp: 0 })).toBeUndefined();
  });

  it('tells news where the link is far from what it was, either way', () => {
    expect(isNews(slow, [transfer(110_000)], 0)).toBe(false);
    expect(isNews(slow, [transfer(1_000_000)], 0)).toBe(true);
    expect(isNews(slow, [transfer(30_000)], 0)).toBe(true);
    expect(isNews(slow, [{ kind: 'rtt', ms: 55 }], 0)).toBe(false);
    expect(isNews(slow, [{ kind: 'rtt', ms: 20 }], 0)).toBe(true);
  });
});
