/** What the user said about plans is kept: forced plans, no fallback, nothing leaves under `local`. */
import { beforeAll, describe, expect, it } from 'vitest';
import { roundToPcm16 } from '../../src/core/pcm16.ts';
import { asFloat32, float32Tensor } from '../../src/core/tensor.ts';
import { IsthmusError } from '../../src/errors.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { failure, nextChoice } from '../../src/session/fallback.ts';
import type { PlanChoice } from '../../src/session/types.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { isDown, isUp, open, paced, rejection, startEndpoint } from './with-session.ts';

const MAX_TOKENS = 6;
const inputs = { features: features(5, 4) };

let speech: OpenedPackage;
let expected: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  expected = await reference(speech, inputs.features, MAX_TOKENS);
});

describe('plan: local', () => {
  it('opens no connection and sends nothing, whatever is asked', async () => {
    const endpoint = await startEndpoint(speech);
    const { session, wire } = await open(speech, { port: endpoint.port, plan: 'local' });
    const { tokens, report } = await session.run({ inputs, maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    expect(report).toMatchObject({
      plan: { id: 'local', leaves: [] },
      bytesUp: 0,
      bytesDown: 0,
      crossings: [],
    });
    await session.explain();
    await session.prefetch();
    await session.close();
    expect(wire.totals).toEqual({ connections: 0, framesUp: 0, framesDown: 0, bytesUp: 0, bytesDown: 0 });
  });

  it('of one request sends nothing for that one', async () => {
    const endpoint = await startEndpoint(speech);
    const { session, wire, seen } = await open(speech, { port: endpoint.port });
    await seen(isUp);
    // The probe of the new link is over once a later request has been answered.
    await session.run({ inputs, plan: 'remote', maxTokens: 1 });
    const before = wire.framesUp;
    const { tokens } = await session.run({ inputs, plan: 'local', maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    expect(wire.framesUp).toBe(before);
  });
});

describe('a recording', () => {
  it('crosses in two bytes a sample, as was predicted, and is heard the same', async () => {
    const endpoint = await startEndpoint(speech);
    const { session, seen } = await open(speech, { port: endpoint.port });
    await seen(isUp);
    const { features: plain } = { features: features(40, 4) };
    const samples = roundToPcm16(Float32Array.from(asFloat32(plain), Math.tanh));
    const recording = { features: float32Tensor(samples, plain.dims) };
    const run = async (what: typeof inputs, plan: PlanChoice) =>
      session.run({ inputs: what, plan, maxTokens: MAX_TOKENS });
    const remote = await run(recording, 'remote');
    expect(remote.tokens).toEqual((await run(recording, 'local')).tokens);
    const whole = await run({ features: plain }, 'remote');
    const saved = 2 * samples.length;
    const savedBytes = whole.report.bytesUp - remote.report.bytesUp;
    // The form is named in the header.
    expect(Math.abs(savedBytes - saved)).toBeLessThan(64);
    const predicted = ({ report }: typeof whole) => report.plan.prediction.bytesUp;
    expect(predicted(whole) - predicted(remote)).toBeCloseTo(saved);
  });
});

describe('a forced plan', () => {
  it.each<PlanChoice>(['remote', { cut: 2, codec: 'fp32' }, { cut: 6, codec: 'fp32' }])(
    'falls back to this device alone, also where another plan could run: %j',
    async (plan) => {
      // The endpoint stays up and fails every request.
      const endpoint = await startEndpoint(speech, {
        createRunner: paced(async () => {
          throw new IsthmusError('run-failed', 'not today');
        }),
      });
      const { session, wire, events, seen } = await open(speech, { port: endpoint.port });
      await seen(isUp);
      const { tokens, report } = await session.run({ inputs, plan, maxTokens: MAX_TOKENS });
      expect(tokens).toEqual(expected);
      expect(report.plan.id).toBe('local');
      expect(report.abandoned.map(({ error }) => error.code)).toEqual(['run-failed']);
      const [first] = report.abandoned;
      expect(events).toContainEqual(
        expect.objectContaining({ type: 'fallback', from: first?.plan, to: 'local' }),
      );
      const plans = events.flatMap((event) => (event.type === 'plan' ? [event.plan.id] : []));
      expect(plans).toEqual([first?.plan, 'local']);
      expect(wire.connections).toBe(1);
    },
  );

  it.each<PlanChoice>(['auto', 'remote', { cut: 6, codec: 'fp32' }])(
    'and no fallback fails with what happened: %j',
    async (plan) => {
      const endpoint = await startEndpoint(speech, {
        createRunner: paced(async () => {
          throw new IsthmusError('run-failed', 'not today');
        }),
      });
      // Slow here, so that `auto` goes there.
      const device = { reportMs: () => 1_000 };
      const { session, devices, seen } = await open(speech, { port: endpoint.port, fallback: false, device });
      await seen(isUp);
      const runs = devices[0]?.runs;
      const error = await rejection(session.run({ inputs, plan, maxTokens: MAX_TOKENS }));
      expect(error).toMatchObject({ name: 'IsthmusError', code: 'run-failed', message: 'not today' });
      if (plan !== 'auto' && typeof plan !== 'object') expect(devices[0]?.runs).toBe(runs);
      expect(devices[0]?.states.size).toBe(0);
    },
  );

  it('and no fallback names the endpoint that is gone', async () => {
    const endpoint = await startEndpoint(speech);
    await endpoint.close({ graceMs: 0 });
    const { session, seen } = await open(speech, { port: endpoint.port, fallback: false });
    await seen(isDown);
    const error = await rejection(session.run({ inputs, plan: 'remote', maxTokens: MAX_TOKENS }));
    expect(error).toMatchObject({
      name: 'IsthmusError',
      code: 'no-plan',
      details: { rejected: { remote: 'the endpoint cannot be reached' } },
    });
  });

  it('that the model does not have is a mistake of the caller, and costs nothing', async () => {
    const endpoint = await startEndpoint(speech);
    const { session, seen } = await open(speech, { port: endpoint.port });
    await seen(isUp);
    for (const cut of [-1, 1.5, 99, Number.NaN]) {
      expect(await rejection(session.run({ inputs, plan: { cut } })), `${cut}`).toMatchObject({
        code: 'bad-option',
      });
    }
    expect((await session.run({ inputs, maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
  });

  it('that needs an endpoint where there is none runs here, or not at all', async () => {
    const lenient = await open(speech);
    const { tokens, report } = await lenient.session.run({ inputs, plan: 'remote', maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    expect(report.abandoned.map(({ error }) => error.code)).toEqual(['no-plan']);
    const strict = await open(speech, { fallback: false });
    expect(await rejection(strict.session.run({ inputs, plan: 'remote' }))).toMatchObject({
      code: 'no-plan',
    });
  });
});

describe('what a failure leads to', () => {
  const lost = new IsthmusError('endpoint-lost', 'gone');

  it('is another plan, the device, or nothing', () => {
    expect(nextChoice('auto', lost, true)).toBe('auto');
    expect(nextChoice('remote', lost, true)).toBe('local');
    expect(nextChoice({ cut: 3 }, lost, true)).toBe('local');
    expect(nextChoice('local', lost, true)).toBeUndefined();
    for (const choice of ['auto', 'remote', 'local', { cut: 1 }] as const) {
      expect(nextChoice(choice, lost, false)).toBeUndefined();
      for (const code of ['aborted', 'closed', 'bad-tensor', 'bad-input', 'bad-option'] as const) {
        expect(nextChoice(choice, new IsthmusError(code, ''), true), code).toBeUndefined();
      }
    }
    expect(nextChoice('auto', new IsthmusError('no-plan', ''), true)).toBeUndefined();
  });

  it('is told with what was tried before', () => {
    expect(failure(lost, [])).toBe(lost);
    const later = new IsthmusError('weights-missing', 'none', { details: { missingBytes: 7 } });
    expect(failure(later, [{ plan: 'remote', error: lost }])).toMatchObject({
      code: 'weights-missing',
      details: { missingBytes: 7, tried: [{ plan: 'remote', code: 'endpoint-lost' }] },
    });
  });
});
