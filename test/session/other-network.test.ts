/** A phone that leaves its network: the connection breaks, and the next one goes another way. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { PRIOR_RTT_MS } from '../../src/link/estimator.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features } from '../endpoint/with-endpoint.ts';
import { isDown, isUp, open, startEndpoint } from './with-session.ts';

const inputs = { features: features(5, 4) };

let speech: OpenedPackage;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
});

describe('a connection that broke', () => {
  it('leaves nothing believed of its line, and the next one is looked at as a new one', async () => {
    const endpoint = await startEndpoint(speech);
    const { session, wire, seen, events } = await open(speech, { port: endpoint.port });
    await seen(isUp);
    await session.run({ inputs, maxTokens: 3, plan: 'remote' });
    const before = await session.explain();
    expect(before.link.rttMs).toBeLessThan(PRIOR_RTT_MS / 2);
    events.length = 0;
    wire.cut();
    await seen(isDown);
    expect((await session.explain()).link.rttMs).toBe(PRIOR_RTT_MS);
    const { bytesUp } = wire;
    await session.run({ inputs, maxTokens: 3, plan: 'local' });
    expect(wire.bytesUp).toBe(bytesUp);
    // Whoever may go there meets it anew: both rates are looked at, not the answer's alone.
    await session.run({ inputs, maxTokens: 3, plan: 'remote' });
    await seen(isUp);
    // Beside the request, which does not wait for it.
    await vi.waitFor(async () => {
      const { link } = await session.explain();
      expect(link.rttMs).toBeLessThan(PRIOR_RTT_MS / 2);
      expect(link.confidence).toBeGreaterThan(0);
    });
    await session.close();
  });
});
