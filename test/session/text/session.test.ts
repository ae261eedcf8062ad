/** Text through a session: a native device, a real endpoint, and a link between them. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { GREEDY } from '../../../src/core/sampling.ts';
import { RECHECK_AFTER_MS } from '../../../src/device/recheck.ts';
import type { OpenedPackage } from '../../../src/package/node/open-package.ts';
import type { OpenOptions } from '../../../src/session/session.ts';
import type { RunTextOptions, TextPlan } from '../../../src/session/text/types.ts';
import type { Session } from '../../../src/session/types.ts';
import { delay } from '../../../src/session/waiting.ts';
import { DeviceFiles, NodeDevice } from '../../fixtures/node-device.ts';
import { tinyText } from '../../fixtures/tiny-text.ts';
import { open, paced, startEndpoint, until } from '../with-session.ts';

const PROMPT = [5, 9, 31, 5, 9, 77, 12, 140, 5, 9];

function ask(more: Partial<RunTextOptions> = {}): RunTextOptions {
  return { tokens: PROMPT, sampling: GREEDY, endTokens: [], maxTokens: 24, ...more };
}

describe('text in a session', () => {
  let pkg: OpenedPackage;
  let expected: readonly number[];

  beforeAll(async () => {
    pkg = await tinyText();
    const device = new NodeDevice(new DeviceFiles(pkg));
    await device.load({ stage: 0, from: 0, to: pkg.manifest.blocks.length });
    const lane = await device.openLane();
    const request = {
      position: 0,
      tokens: PROMPT,
      answer: [],
      sampling: GREEDY,
      endTokens: [],
      maxTokens: 24,
    };
    expected = (await lane.loop(request, { onPass: () => undefined })).tokens;
    await device.close();
  });

  it('is the same under every plan, and says what crossed', async () => {
    const endpoint = await startEndpoint(pkg);
    const { session } = await open(pkg, { port: endpoint.port });
    const blocks = pkg.manifest.blocks.length;
    const plans: Exclude<TextPlan, 'auto'>[] = ['local', 'remote'];
    for (let cut = 1; cut < blocks; cut += 1) plans.push({ cut });
    plans.push({ cut: 1, until: blocks - 1 }, { cut: 2, until: 3 });
    for (const plan of plans) {
      const { tokens, usage } = await session.runText(ask({ plan }));
      expect(tokens, JSON.stringify(plan)).toEqual(expected);
      expect(usage.newTokens).toBe(24);
      const leaves = usage.plans.at(-1)?.leaves ?? [];
      if (plan === 'local') {
        expect(usage).toMatchObject({ bytesUp: 0, roundTrips: 0 });
        expect(leaves).toEqual([]);
      } else if (plan === 'remote') {
        expect(usage.roundTrips).toBe(1);
        expect(leaves.join()).toMatch(/prompt/);
      } else {
        expect(usage.roundTrips).toBeGreaterThan(1);
        expect(leaves.join()).not.toMatch(/prompt/);
        expect(leaves.some((name) => /answer/.test(name))).toBe(plan.until === undefined);
      }
    }
    await session.close();
  });

  it.each([
    ['behind', 1],
    ['beside a long', 0.01],
  ])('fetches weights %s text that is asked for at once', async (where, share) => {
    const endpoint = await startEndpoint(pkg, { createRunner: paced(() => delay(20)) });
    const files = new DeviceFiles(pkg, 'none');
    const timeout = (ms: number): AbortSignal => AbortSignal.timeout(Math.ceil(share * ms));
    const { session } = await open(pkg, { port: endpoint.port, files, prefetch: true, parts: { timeout } });
    const weights = (): readonly string[] => files.fetched.filter((path) => !path.includes('token'));
    const atToken: number[] = [];
    const { tokens } = await session.runText(
      ask({
        plan: 'remote',
        onToken: () => {
          atToken.push(weights().length);
          return false;
        },
      }),
    );
    expect(tokens).toEqual(expected);
    if (where === 'behind') {
      expect(atToken.at(-1)).toBe(0);
      await until(() => weights().length > 0);
    } else expect(atToken.at(-1)).toBeGreaterThan(0);
    await session.close();
  });

  it('fetches weights soon where no text is asked for', async () => {
    const endpoint = await startEndpoint(pkg);
    const files = new DeviceFiles(pkg, 'none');
    const { session } = await open(pkg, { port: endpoint.port, files, prefetch: true });
    await until(() => files.missing(Object.keys(pkg.manifest.files)) === 0);
    await session.close();
  });

  it.each([
    ['ahead of any text', { prefetch: true }, async () => undefined],
    ['because the page asked', { prefetch: false }, async (session: Session) => session.prefetch()],
  ])(
    'knows how fast the device is when the first text comes: weights fetched %s',
    async (_, options, fetch) => {
      const endpoint = await startEndpoint(pkg);
      const { session, devices } = await open(pkg, { port: endpoint.port, plan: 'auto', ...options });
      await fetch(session);
      await until(() => devices.some(({ runs }) => runs > 0));
      await session.close();
    },
  );

  it('builds on the device, before a text comes, what it would run there, and nothing where it would not', async () => {
    const endpoint = await startEndpoint(pkg);
    const blocks = pkg.manifest.blocks.length;
    const wholeOf = async (options: OpenOptions) => {
      const { session, devices } = await open(pkg, { port: endpoint.port, prefetch: true, ...options });
      await until(() => devices.some(({ runs }) => runs > 0));
      for (let before = -1; before !== devices[0]?.runs; ) {
        before = devices[0]?.runs ?? 0;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      const spans = [...(devices[0]?.loaded ?? [])];
      await session.close();
      return spans.some((span) => span.endsWith(`-${blocks}`));
    };
    expect(await wholeOf({ mode: 'prefer-device' })).toBe(true);
    expect(await wholeOf({ mode: 'prefer-cloud' })).toBe(false);
    expect(await wholeOf({ plan: 'remote' })).toBe(false);
  });

  it('finds out beside texts at the endpoint that the device is faster than it was when the session opened', async () => {
    const endpoint = await startEndpoint(pkg);
    let pauseMs = 20;
    let later = 0;
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    const { session, devices } = await open(pkg, {
      port: endpoint.port,
      plan: 'auto',
      prefetch: true,
      clock: { now: () => systemClock.now() + later, epoch: () => systemClock.epoch() },
      device: {
        beforeRun: async () => {
          if (pauseMs > 0) await pause(pauseMs);
        },
      },
    });
    const runs = () => devices.reduce((sum, device) => sum + device.runs, 0);
    const asked = async (plan?: TextPlan) => (await session.runText(ask(plan && { plan }))).usage.plans;
    expect((await asked()).at(-1)?.plan).toBe('remote');
    for (let before = -1; before !== runs(); await pause(100)) before = runs();
    pauseMs = 0;
    later = RECHECK_AFTER_MS;
    // What was asked for tells that nobody wants to know.
    const before = runs();
    await asked('remote');
    expect(runs()).toBe(before);
    await asked();
    await until(() => runs() > before);
    await session.close();
  });

  it('keeps the state of a conversation', async () => {
    const endpoint = await startEndpoint(pkg);
    const { session } = await open(pkg, { port: endpoint.port });
    for (const plan of ['remote', 'local', { cut: 2 }] as const) {
      const first = await session.runText(ask({ plan, tokens: [1, ...PROMPT] }));
      const next = [1, ...PROMPT, ...first.tokens, 8, 8];
      const second = await session.runText(ask({ plan, tokens: next }));
      const { session: fresh } = await open(pkg, { plan: 'local' });
      expect(second.tokens).toEqual((await fresh.runText(ask({ tokens: next }))).tokens);
      await fresh.close();
      if (typeof plan === 'string') expect(second.usage.reusedTokens).toBe(next.length - 3);
    }
    await session.close();
  });

  it('starts on the endpoint, moves over when its weights are here, and goes on without the endpoint', async () => {
    // Slow once the weights may come: the text is not to end before a busy machine has moved it.
    const endpoint = await startEndpoint(pkg, {
      createRunner: paced(() => (made < 8 ? Promise.resolve() : delay(50))),
    });
    const files = new DeviceFiles(pkg, 'none');
    let made = 0;
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    files.beforeFetch = () => gate;
    const { session } = await open(pkg, {
      port: endpoint.port,
      files,
      plan: 'auto',
      prefetch: true,
      // Longer than weights stand back for.
      parts: { timeout: (ms) => AbortSignal.timeout(Math.ceil(ms / 100)) },
    });
    const plans: string[] = [];
    const { tokens, usage } = await session.runText(
      ask({
        mode: 'prefer-device',
        maxTokens: 230,
        onMove: ({ plan }) => plans.push(plan),
        onToken: () => {
          made += 1;
          if (made === 8) release();
          if (plans.at(-1) === 'local') void endpoint.close({ graceMs: 0 });
          return false;
        },
      }),
    );
    expect(plans[0]).toBe('remote');
    expect(plans.at(-1)).toBe('local');
    expect(files.fetched.length).toBeGreaterThan(0);
    const { session: fresh } = await open(pkg, { plan: 'local' });
    expect(tokens).toEqual((await fresh.runText(ask({ maxTokens: 230 }))).tokens);
    await fresh.close();
    expect(usage.plans.map(({ plan }) => plan)).toEqual(plans);
    await session.close();
  });

  const plansAtTheEndpoint = [['remote'], [{ cut: 2 }], ['auto']] as const;
  const atEndpoint = async (plan: TextPlan) => {
    const endpoint = await startEndpoint(pkg);
    const opened = await open(pkg, { port: endpoint.port, fallback: plan === 'auto' });
    const asked = () =>
      // With a deadline that any pace keeps: an endpoint that a busy machine made slow once would else not be bearable.
      opened.session.runText(
        ask({ plan, ...(plan === 'auto' ? { mode: 'prefer-cloud', deadlineMs: 60_000 } : {}) }),
      );
    const id = typeof plan === 'string' ? 'remote' : 'split@2';
    return { ...opened, asked, id };
  };

  it.each(plansAtTheEndpoint)(
    'goes on where it was when the connection had broken before a text began: %j',
    async (plan) => {
      const { session, wire, asked, id, events } = await atEndpoint(plan);
      await asked();
      wire.cut();
      await until(() => events.some((event) => event.type === 'endpoint' && event.state === 'down'));
      const { tokens, usage } = await asked();
      expect(tokens).toEqual(expected);
      if (id === 'remote') expect(usage.reusedTokens).toBe(0);
      const periods = usage.plans.map((period) => [period.plan, period.error]);
      if (plan === 'auto') {
        // Who may run here begins here, moves when the connection is there again, and is there with the next text.
        expect(periods[0]).toEqual(['local', undefined]);
        expect(periods.slice(1).every(([next, error]) => next === id && error === undefined)).toBe(true);
        await until(() => events.filter((one) => one.type === 'endpoint' && one.state === 'up').length > 1);
        expect((await asked()).usage.plans.map((period) => period.plan)).toEqual([id]);
      } else expect(periods).toEqual([[id, undefined]]);
      await session.close();
    },
  );

  it('waits for no attempt to find an endpoint again where the device can begin', async () => {
    const endpoint = await startEndpoint(pkg);
    const attempts: Socket[] = [];
    const nobody = createServer((socket) => attempts.push(socket)).listen(0, '127.0.0.1');
    onTestFinished(() => {
      for (const socket of attempts) socket.destroy();
      nobody.close();
    });
    await until(() => nobody.listening);
    const { port } = nobody.address() as AddressInfo;
    let isThere = true;
    const { session, wire, events } = await open(pkg, { port: () => (isThere ? endpoint.port : port) });
    await session.runText(ask({ plan: 'local' }));
    isThere = false;
    wire.cut();
    await until(() => events.some((event) => event.type === 'endpoint' && event.state === 'down'));
    for (const plan of ['auto', 'local'] as const) {
      const { tokens, usage } = await session.runText(ask({ plan }));
      expect(tokens).toEqual(expected);
      expect(usage.plans.map((period) => period.plan)).toEqual(['local']);
    }
    // One was made, and is still under way.
    await until(() => attempts.length > 0);
    expect(attempts.map(({ destroyed }) => destroyed)).toEqual([false]);
    await session.close();
  });

  it.each(plansAtTheEndpoint)(
    'goes on where it was when it finds out by the text itself: %j',
    async (plan) => {
      const { session, wire, asked, id } = await atEndpoint(plan);
      await asked();
      wire.cut();
      const { tokens, usage } = await asked();
      expect(tokens).toEqual(expected);
      expect(usage.plans.at(-1)?.plan).toBe(id);
      await session.close();
    },
  );

  describe('behind a long prompt', () => {
    const tokens = Array.from({ length: 230 }, (_, at) => 3 + ((at * at + 7 * at) % 150));
    const long = (more: Partial<RunTextOptions> = {}): RunTextOptions =>
      ask({ tokens, maxTokens: 6, draft: 0, ...more });

    it('waits for one round trip, and for one a token behind it', async () => {
      const endpoint = await startEndpoint(pkg);
      const { session } = await open(pkg, { port: endpoint.port });
      expect((await session.runText(long({ plan: { cut: 2 } }))).usage.roundTrips).toBe(6);
      await session.close();
    });

    it('goes on when the link breaks or the answer is given up among the pieces', async () => {
      let onStep: () => void = () => undefined;
      let steps = 0;
      const endpoint = await startEndpoint(pkg, {
        createRunner: paced(async () => {
          steps += 1;
          if (steps === 2) onStep();
        }),
      });
      const { session, wire } = await open(pkg, { port: endpoint.port });
      const { tokens: same } = await session.runText(long({ plan: 'local' }));
      for (const plan of [{ cut: 2 }, { cut: 1, until: 3 }]) {
        steps = 0;
        const abort = new AbortController();
        onStep = () => abort.abort();
        const fresh = [plan.cut, ...tokens.slice(1)];
        await expect(
          session.runText(long({ plan, tokens: fresh, signal: abort.signal })),
        ).rejects.toMatchObject({ code: 'aborted' });
        expect((await session.runText(long({ plan }))).tokens).toEqual(same);
        steps = 0;
        onStep = () => wire.cut();
        const { usage } = await session.runText(long({ plan, tokens: fresh }));
        expect(usage.plans.map((period) => period.plan)).toContain('local');
        expect((await session.runText(long({ plan }))).tokens).toEqual(same);
      }
      await session.close();
    });
  });

  it('says what is wrong', async () => {
    const endpoint = await startEndpoint(pkg);
    const { session } = await open(pkg, { port: endpoint.port });
    await expect(session.runText(ask({ plan: { cut: 99 } }))).rejects.toMatchObject({ code: 'bad-option' });
    const long = Array.from({ length: 300 }, () => 3);
    await expect(session.runText(ask({ tokens: long, plan: 'local' }))).rejects.toMatchObject({
      code: 'input-too-long',
    });
    const both = await Promise.all([session.runText(ask()), session.runText(ask())]);
    for (const { tokens } of both) expect(tokens).toEqual(expected);
    await session.close();
    await expect(session.runText(ask())).rejects.toMatchObject({ code: 'closed' });
  });
});
