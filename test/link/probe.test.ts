import { describe, expect, it } from 'vitest';
import { estimateLink, LINK_HALF_LIFE_MS, NEW_LINK } from '../../src/link/estimator.ts';
import {
  MAX_IDLE_PROBES,
  MAX_PROBE_TRANSFER_BYTES,
  MIN_PROBE_TRANSFER_BYTES,
  observeAll,
  PROBE_INTERVAL_MS,
  planProbe,
  sendProbe,
} from '../../src/link/probe.ts';

const QUIET = { quietMs: 1e9, probes: 0 };

/** A link known from several large transfers at `at`. */
function knownLink(at: number, bytesPerSecond: number) {
  const ms = 20 + (1000 * 500_000) / bytesPerSecond;
  const once = [
    { kind: 'rtt', ms: 20 },
    { kind: 'transfer', direction: 'up', bytes: 500_000, ms },
    { kind: 'transfer', direction: 'down', bytes: 500_000, ms },
  ] as const;
  return observeAll(NEW_LINK, [...once, ...once, ...once, ...once], at);
}

describe('planProbe', () => {
  it('looks at both directions of an unknown link', () => {
    const probe = planProbe(NEW_LINK, QUIET, 0);
    expect(probe?.upBytes).toBeGreaterThanOrEqual(MIN_PROBE_TRANSFER_BYTES);
    expect(probe?.downBytes).toBeGreaterThanOrEqual(MIN_PROBE_TRANSFER_BYTES);
  });

  it('leaves a well-known link alone until that has faded', () => {
    const state = knownLink(0, 1e6);
    expect(planProbe(state, QUIET, 0)).toBeUndefined();
    expect(planProbe(state, QUIET, 5 * LINK_HALF_LIFE_MS)).toBeDefined();
  });

  it('looks only at the direction that is unknown', () => {
    const state = { ...knownLink(0, 1e6), down: [] };
    const probe = planProbe(state, QUIET, 0);
    expect(probe?.upBytes).toBe(0);
    expect(probe?.downBytes).toBeGreaterThan(0);
  });

  it('waits twice as long after each probe, and at last stops', () => {
    for (let probes = 0; probes < MAX_IDLE_PROBES; probes += 1) {
      const due = PROBE_INTERVAL_MS * 2 ** probes;
      expect(planProbe(NEW_LINK, { quietMs: due - 1, probes }, 0)).toBeUndefined();
      expect(planProbe(NEW_LINK, { quietMs: due, probes }, 0)).toBeDefined();
    }
    expect(planProbe(NEW_LINK, { quietMs: 1e12, probes: MAX_IDLE_PROBES }, 0)).toBeUndefined();
    expect(planProbe(NEW_LINK, { quietMs: Number.NaN, probes: 0 }, 0)).toBeUndefined();
  });

  it('never sends more than its bound, nor so little that nothing shows', () => {
    for (const rate of [3_000, 1e5, 1e6, 1e9]) {
      const faded = planProbe(knownLink(0, rate), QUIET, 20 * LINK_HALF_LIFE_MS);
      for (const bytes of [faded?.upBytes ?? 0, faded?.downBytes ?? 0]) {
        expect(bytes).toBeGreaterThanOrEqual(MIN_PROBE_TRANSFER_BYTES);
        expect(bytes).toBeLessThanOrEqual(MAX_PROBE_TRANSFER_BYTES);
      }
    }
  });
});

describe('sendProbe', () => {
  it('measures a link through the pings that it was given', async () => {
    const sent: [number, number][] = [];
    const probe = planProbe(NEW_LINK, QUIET, 0);
    if (probe === undefined) throw new Error('an unknown link is worth a probe');
    const ping = async (replyBytes: number, padding: Uint8Array) => {
      sent.push([replyBytes, padding.byteLength]);
      return 25 + (1000 * padding.byteLength) / 100_000 + (1000 * replyBytes) / 200_000;
    };
    const estimate = estimateLink(observeAll(NEW_LINK, await sendProbe(probe, ping), 0), 0);
    expect(sent).toEqual([
      [0, 0],
      [0, probe.upBytes],
      [probe.downBytes, 0],
    ]);
    expect(estimate.rttMs).toBeCloseTo(25);
    expect(estimate.upBytesPerSecond).toBeCloseTo(100_000);
    expect(estimate.downBytesPerSecond).toBeCloseTo(200_000);
  });

  it('sends padding that does not compress: all byte values, about equally often', async () => {
    let padding = new Uint8Array(0);
    await sendProbe({ upBytes: MAX_PROBE_TRANSFER_BYTES, downBytes: 0 }, async (_, bytes) => {
      if (bytes.byteLength > 0) padding = new Uint8Array(bytes);
      return 1;
    });
    const counts = new Array<number>(256).fill(0);
    for (const byte of padding) counts[byte] = (counts[byte] ?? 0) + 1;
    const expected = MAX_PROBE_TRANSFER_BYTES / 256;
    expect(Math.min(...counts)).toBeGreaterThan(expected / 2);
    expect(Math.max(...counts)).toBeLessThan(expected * 2);
  });

  it('passes on the failure of a ping', async () => {
    const lost = new Error('gone');
    await expect(sendProbe({ upBytes: 1, downBytes: 1 }, () => Promise.reject(lost))).rejects.toBe(lost);
  });
});
