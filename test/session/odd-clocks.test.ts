/** Clocks that jump and probes that are never answered: requests stay right, and no estimate goes mad. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { estimateLink, type LinkObservation, NEW_LINK, observeLink } from '../../src/link/estimator.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { decodeServerMessage } from '../../src/protocol/frame.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { isUp, open, startEndpoint, Wire } from './with-session.ts';

const MAX_TOKENS = 4;
const HOUR_MS = 3_600_000;
const inputs = { features: features(5, 4) };

let speech: OpenedPackage;
let expected: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  expected = await reference(speech, inputs.features, MAX_TOKENS);
});

describe('a clock that jumps', () => {
  it('leaves the estimate of a link finite and above 0', () => {
    const ms = fc.double({ noNaN: false });
    const observation = fc.oneof(
      fc.record({ kind: fc.constant('rtt' as const), ms }),
      fc.record({
        kind: fc.constant('transfer' as const),
        direction: fc.constantFrom('up' as const, 'down' as const),
        bytes: fc.double(),
        ms,
      }),
    );
    const at = fc.integer({ min: -100 * HOUR_MS, max: 100 * HOUR_MS });
    fc.assert(
      fc.property(fc.array(fc.tuple(observation, at), { maxLength: 30 }), at, (seen, now) => {
        const state = seen.reduce(
          (link, [one, when]) => observeLink(link, one satisfies LinkObservation, when),
          NEW_LINK,
        );
        const { rttSpreadMs, confidence, ...positive } = estimateLink(state, now);
        for (const [name, value] of Object.entries(positive)) {
          expect(Number.isFinite(value) && value > 0, name).toBe(true);
        }
        expect(Number.isFinite(rttSpreadMs) && rttSpreadMs >= 0).toBe(true);
        expect(confidence).toBeGreaterThanOrEqual(0);
        expect(confidence).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('by hours, back or on, between any two readings, changes no answer and makes no time negative', async () => {
    const endpoint = await startEndpoint(speech);
    let jumps: readonly number[] = [];
    let read = 0;
    let offset = 0;
    const { session, seen } = await open(speech, {
      port: endpoint.port,
      clock: {
        now: () => {
          offset += jumps[read] ?? 0;
          read += 1;
          return systemClock.now() + offset;
        },
        epoch: () => systemClock.epoch(),
      },
    });
    await seen(isUp);
    const jump = fc.oneof(fc.constant(0), fc.integer({ min: -5 * HOUR_MS, max: 5 * HOUR_MS }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(jump, { maxLength: 40 }),
        fc.constantFrom('auto' as const, 'local' as const, 'remote' as const),
        async (next, plan) => {
          jumps = next;
          read = 0;
          const { tokens, report } = await session.run({ inputs, plan, maxTokens: MAX_TOKENS });
          expect(tokens).toEqual(expected);
          const times = [
            report.totalMs,
            report.ttftMs,
            report.hedge?.afterMs ?? 0,
            report.hedge?.other.deviceMs ?? 0,
            ...report.spans.map(({ measuredMs }) => measuredMs),
            ...report.crossings.map(({ measuredMs }) => measuredMs),
          ];
          for (const ms of times) expect(Number.isFinite(ms) && ms >= 0).toBe(true);
          jumps = [];
          const { plans } = await session.explain();
          for (const { id, prediction } of plans) {
            for (const [name, value] of Object.entries(prediction)) {
              expect(Number.isFinite(value) && value >= 0, `${id} ${name}`).toBe(true);
            }
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('a probe that is never answered', () => {
  it('holds up no request, and ends by its own limit', async () => {
    const endpoint = await startEndpoint(speech);
    const wire = new Wire();
    const connect = wire.connect(() => endpoint.port);
    let swallowed = 0;
    const limits: number[] = [];
    const { session, seen } = await open(speech, {
      connect: async (options) => {
        const connection = await connect(options);
        return {
          get buffered() {
            return connection.buffered;
          },
          send: (frame) => connection.send(frame),
          onFrame: (handler) =>
            connection.onFrame((frame) => {
              if (decodeServerMessage(frame).type === 'pong') swallowed += 1;
              else handler(frame);
            }),
          onClose: (handler) => connection.onClose(handler),
          close: () => connection.close(),
        };
      },
      parts: {
        timeout: (ms) => {
          limits.push(ms);
          return new AbortController().signal;
        },
      },
    });
    await seen(isUp);
    for (const plan of ['remote', 'local', 'auto'] as const) {
      expect((await session.run({ inputs, plan, maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
    }
    expect(swallowed).toBe(1);
    // Of the hello, and of the ping that hangs; `endpoint-link.test.ts` has what follows when it is over.
    expect(limits.slice(0, 2)).toEqual([5_000, 5_000]);
    await session.close();
  });
});
