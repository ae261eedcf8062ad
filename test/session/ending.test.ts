/** Requests that are ended early, crowd each other, or lose their worker: nothing hangs, nothing leaks. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import type { PlanChoice } from '../../src/session/types.ts';
import type { Connect } from '../../src/transport/transport.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { DeviceFiles, type NodeDevice } from '../fixtures/node-device.ts';
import { isUp, open, rejection, startEndpoint, until } from './with-session.ts';

const MAX_TOKENS = 6;
const inputs = { features: features(5, 4) };
const PLANS: readonly PlanChoice[] = [
  'local',
  'remote',
  { cut: 2, codec: 'fp32' },
  { cut: 4, codec: 'fp32' },
  { cut: 6, codec: 'fp32' },
];

let speech: OpenedPackage;
let expected: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  expected = await reference(speech, inputs.features, MAX_TOKENS);
});

async function connected(setup: Parameters<typeof open>[1] = {}) {
  const endpoint = await startEndpoint(speech);
  const opened = await open(speech, { port: endpoint.port, ...setup });
  await opened.seen(isUp);
  return { ...opened, endpoint };
}

/** Never answers. */
const deafConnect: Connect = () => new Promise(() => undefined);

describe('an abort', () => {
  it.each(PLANS)('ends a request at any token, and only that one: %j', async (plan) => {
    const { session, endpoint, devices } = await connected();
    for (let at = 0; at < MAX_TOKENS; at += 1) {
      const abort = new AbortController();
      const heard: number[] = [];
      const error = await rejection(
        session.run({
          inputs,
          plan,
          maxTokens: 64,
          signal: abort.signal,
          onToken: (token) => {
            heard.push(token);
            if (heard.length > at) abort.abort();
          },
        }),
      );
      expect(error).toMatchObject({ name: 'IsthmusError', code: 'aborted' });
      expect(heard).toHaveLength(at + 1);
      expect(devices[0]?.states.size).toBe(0);
      await until(() => endpoint.activeRequests === 0);
      const next = await session.run({ inputs, plan, maxTokens: MAX_TOKENS });
      expect(next.tokens).toEqual(expected);
      expect(next.report.abandoned).toEqual([]);
    }
  });

  it('before a request keeps it from starting', async () => {
    const { session, wire } = await connected();
    await session.run({ inputs, plan: 'remote', maxTokens: 1 });
    const before = wire.framesUp;
    const signal = AbortSignal.abort('no');
    expect(await rejection(session.run({ inputs, plan: 'remote', signal }))).toMatchObject({
      code: 'aborted',
      cause: 'no',
    });
    expect(wire.framesUp).toBe(before);
  });

  it('is heard while the endpoint does not answer the door', async () => {
    // Nothing is here, so that the request must wait for the endpoint.
    const files = new DeviceFiles(speech, 'none');
    const { session } = await open(speech, { connect: deafConnect, files });
    const abort = new AbortController();
    const running = session.run({ inputs, plan: 'remote', signal: abort.signal });
    setImmediate(() => abort.abort());
    expect(await rejection(running)).toMatchObject({ code: 'aborted' });
  });

  it('is heard while the request waits for its turn', async () => {
    let begin: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let isArmed = false;
    const { session } = await open(speech, {
      device: {
        beforeRun: async () => {
          if (!isArmed) return;
          begin();
          await held;
        },
      },
    });
    isArmed = true;
    const first = session.run({ inputs, maxTokens: MAX_TOKENS });
    await begun;
    const abort = new AbortController();
    const second = session.run({ inputs, maxTokens: MAX_TOKENS, signal: abort.signal });
    abort.abort();
    expect(await rejection(second)).toMatchObject({ code: 'aborted' });
    letGo();
    expect((await first).tokens).toEqual(expected);
    expect((await session.run({ inputs, maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
  });

  it('leaves no listener on a signal that is used for many requests', async () => {
    const { session } = await connected();
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    for (const plan of PLANS) await session.run({ inputs, plan, maxTokens: 2, signal });
    expect(listeners).toBeLessThanOrEqual(0);
  });
});

describe('a close', () => {
  it.each(PLANS)('during a request ends it, and leaves nothing behind: %j', async (plan) => {
    for (let at = 0; at < 3; at += 1) {
      const { session, endpoint, devices, events } = await connected();
      let closing: Promise<void> | undefined;
      const heard: number[] = [];
      const running = session.run({
        inputs,
        plan,
        maxTokens: 64,
        onToken: (token) => {
          heard.push(token);
          if (heard.length > at) closing ??= session.close();
        },
      });
      const error = await rejection(running);
      expect(error).toMatchObject({ name: 'IsthmusError', code: 'closed' });
      await closing;
      const told = events.length;
      await until(() => endpoint.activeRequests === 0);
      expect(devices).toHaveLength(1);
      expect(devices[0]?.reason?.code).toBe('closed');
      expect(await rejection(session.run({ inputs }))).toMatchObject({ code: 'closed' });
      expect(await rejection(session.explain())).toMatchObject({ code: 'closed' });
      expect(await rejection(session.readFile('tokenizer.json'))).toMatchObject({ code: 'closed' });
      expect(events.length).toBe(told);
      await session.close();
    }
  });

  it('does not wait for an endpoint that does not answer the door', async () => {
    const files = new DeviceFiles(speech, 'none');
    const { session } = await open(speech, {
      connect: ({ signal } = {}) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
      files,
    });
    const running = rejection(session.run({ inputs, plan: 'remote' }));
    await session.close();
    expect(await running).toMatchObject({ code: 'closed' });
  });

  it('ends requests that wait, too', async () => {
    const { session } = await connected();
    const waiting = [1, 2, 3].map(() => rejection(session.run({ inputs, plan: 'remote' })));
    await session.close();
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'closed' });
  });
});

describe('two requests at once', () => {
  it('run one after another, and both are right', async () => {
    const { session } = await connected();
    const other = { features: features(5, 2) };
    const expectedOther = await reference(speech, other.features, MAX_TOKENS);
    expect(expectedOther).not.toEqual(expected);
    for (const plan of PLANS) {
      const order: string[] = [];
      const [a, b] = await Promise.all([
        session.run({ inputs, plan, maxTokens: MAX_TOKENS, onToken: () => order.push('a') }),
        session.run({ inputs: other, plan, maxTokens: MAX_TOKENS, onToken: () => order.push('b') }),
      ]);
      expect(a.tokens).toEqual(expected);
      expect(b.tokens).toEqual(expectedOther);
      expect(order.join('')).toBe('a'.repeat(MAX_TOKENS) + 'b'.repeat(MAX_TOKENS));
    }
  });

  it('do not share a failure', async () => {
    const { session } = await connected();
    const [bad, good] = await Promise.allSettled([
      session.run({ inputs: {}, plan: 'remote' }),
      session.run({ inputs, plan: 'remote', maxTokens: MAX_TOKENS }),
    ]);
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'bad-tensor' } });
    expect(good).toMatchObject({ status: 'fulfilled', value: { tokens: expected } });
  });
});

describe('a worker that dies', () => {
  it.each(PLANS.filter((plan) => plan !== 'remote'))(
    'in a request is started again once, and no token is lost: %j',
    async (plan) => {
      // The run of the device, counted from the request's first, before which it dies.
      for (let at = 0; at < (typeof plan === 'object' && plan.cut <= 4 ? 1 : MAX_TOKENS); at += 1) {
        let fuse = -1;
        const { session, devices, endpoint } = await connected({
          device: {
            beforeRun: async (_, device) => {
              if (fuse >= 0 && fuse-- === 0) device.die();
            },
          },
        });
        const heard: number[] = [];
        fuse = at;
        const { tokens, report } = await session.run({
          inputs,
          plan,
          maxTokens: MAX_TOKENS,
          onToken: (token) => heard.push(token),
        });
        expect(tokens).toEqual(expected);
        expect(heard).toEqual(expected);
        expect(report.abandoned.map(({ error }) => error.code)).toEqual(['worker-lost']);
        expect(report.plan.id).toBe(report.abandoned[0]?.plan);
        expect(devices.map((device) => device.reason?.code)).toEqual(['worker-lost', undefined]);
        expect(devices[1]?.states.size).toBe(0);
        await until(() => endpoint.activeRequests === 0);
        expect((await session.run({ inputs, plan, maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
        expect(devices).toHaveLength(2);
      }
    },
  );

  it('again and again goes elsewhere, or fails as it is', async () => {
    let isArmed = false;
    const device = {
      beforeRun: async (_: unknown, runner: NodeDevice) => {
        if (isArmed) runner.die();
      },
    };
    const { session, devices } = await connected({ device });
    isArmed = true;
    const { tokens, report } = await session.run({ inputs, plan: 'auto', maxTokens: MAX_TOKENS });
    expect(tokens).toEqual(expected);
    expect(devices.length).toBeLessThanOrEqual(2);
    expect(report.plan.kind).toBe('remote');
    const error = await rejection(session.run({ inputs, plan: 'local', maxTokens: MAX_TOKENS }));
    expect(error).toMatchObject({ code: 'worker-lost', details: { tried: [{ plan: 'local' }] } });
  });

  it('between requests is noticed by the next one, also where weights are missing', async () => {
    const files = new DeviceFiles(speech, 'none');
    const { session, devices } = await connected({ files });
    devices[0]?.die();
    expect((await session.run({ inputs, plan: 'local', maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
    expect(devices).toHaveLength(2);
  });

  it('does not take files and explanations with it', async () => {
    const { session, devices } = await connected();
    devices[0]?.die();
    const [file, text] = await Promise.all([
      session.readFile('tokenizer.json'),
      session.explain().then(({ reason }) => reason),
    ]);
    expect(file.byteLength).toBeGreaterThan(0);
    expect(text).not.toBe('');
    expect(devices).toHaveLength(2);
  });

  it('and cannot be started again fails the request, typed', async () => {
    let isArmed = false;
    const { session } = await open(speech, {
      device: {
        beforeRun: async (_, runner) => {
          if (isArmed) runner.die();
        },
      },
      startRunner: () => Promise.reject(new Error('no more workers')),
    });
    isArmed = true;
    expect(await rejection(session.run({ inputs }))).toMatchObject({
      name: 'IsthmusError',
      code: 'worker-lost',
      message: 'no more workers',
    });
  });
});

describe("the caller's own code", () => {
  it('that throws at a token ends the request with what it threw', async () => {
    const { session, endpoint, devices } = await connected();
    for (const plan of PLANS) {
      const mine = new RangeError('mine');
      let calls = 0;
      const error = await rejection(
        session.run({
          inputs,
          plan,
          onToken: () => {
            calls += 1;
            throw mine;
          },
        }),
      );
      expect(error).toBe(mine);
      expect(calls).toBe(1);
      expect(devices[0]?.states.size).toBe(0);
      await until(() => endpoint.activeRequests === 0);
    }
    expect((await session.run({ inputs, maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
  });
});
