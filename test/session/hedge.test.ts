/** Two plans for one request: what stalls is overtaken, nothing is told twice, and the loser is stopped. */
import { beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../src/errors.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import type { RunOptions, SessionEvent } from '../../src/session/types.ts';
import { importSpeech, onDisk } from '../endpoint/packages.ts';
import { features, reference } from '../endpoint/with-endpoint.ts';
import { type LateSetup, openLate } from './with-late.ts';
import { rejection, until } from './with-session.ts';

const MAX_TOKENS = 6;
const inputs = { features: features(5, 4) };
/** So slow here that a plan goes to the endpoint, and quick enough to be worth a hedge. */
const SLOW_MS = 40;
const QUICK_MS = 0.01;

let speech: OpenedPackage;
let expected: number[];

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  expected = await reference(speech, inputs.features, MAX_TOKENS);
});

type Late = Awaited<ReturnType<typeof openLate>>;

const isHedge = (event: SessionEvent): boolean => event.type === 'hedge';

/** Opened, and used at each place, so that both are known; here so often that first costs are borne out. */
async function used(setup: LateSetup): Promise<Late> {
  const late = await openLate(speech, setup);
  for (const plan of ['remote', 'local', 'local', 'local'] as const)
    await late.session.run({ inputs, plan, maxTokens: MAX_TOKENS });
  return late;
}

function start({ session }: Late, options: Partial<RunOptions> = {}) {
  const heard: number[] = [];
  const running = session.run({
    inputs,
    maxTokens: MAX_TOKENS,
    ...options,
    onToken: (token) => {
      heard.push(token);
      options.onToken?.(token);
    },
  });
  running.catch(() => undefined);
  return { heard, running };
}

describe('a request that stalls', () => {
  it('at the endpoint goes on here, at any token, and the endpoint is told to stop', async () => {
    const late = await used({ runMs: SLOW_MS });
    for (let at = 0; at < MAX_TOKENS; at += 1) {
      late.there.arm(at);
      // Preferred, so that it begins there whatever a busy machine made of the times.
      const { running, heard } = start(late, { mode: 'prefer-cloud' });
      await late.late(late.there);
      const { tokens, report } = await running;
      expect(tokens).toEqual(expected);
      expect(heard).toEqual(expected);
      expect(report.plan.id).toBe('local');
      expect(report.abandoned).toEqual([]);
      expect(report.hedge).toMatchObject({
        first: 'remote',
        winner: 'local',
        cause: 'late',
        other: { plan: 'remote', deviceMs: 0 },
      });
      expect(report.hedge?.afterMs).toBeGreaterThanOrEqual(60_000);
      expect(report.bytesUp).toBe(report.hedge?.other.bytesUp);
      expect(report.bytesUp).toBeGreaterThan(0);
      late.there.letGo();
      await until(() => late.endpoint.activeRequests === 0);
      // The step that was under way, and no other.
      expect(late.there.count).toBe(at + 1);
      // What was lost has taught; the next request is to begin there again all the same.
      await late.session.run({ inputs, plan: 'remote', maxTokens: MAX_TOKENS });
      await late.session.run({ inputs, plan: 'remote', maxTokens: MAX_TOKENS });
    }
  });

  it('here goes on at the endpoint, and does not hold up a request that needs nothing here', async () => {
    const late = await used({ runMs: QUICK_MS });
    for (const at of [0, 1, 3]) {
      late.here.arm(at);
      const { running, heard } = start(late);
      await late.late(late.here);
      const { tokens, report } = await running;
      expect(tokens).toEqual(expected);
      expect(heard).toEqual(expected);
      expect(report.hedge).toMatchObject({ first: 'local', winner: 'remote', cause: 'late' });
      expect(report.hedge?.other.deviceMs).toBeGreaterThan(0);
      // The run that stalls still holds the device.
      expect(late.here.isStalled).toBe(true);
      const next = await late.session.run({ inputs, plan: 'remote', maxTokens: MAX_TOKENS });
      expect(next.tokens).toEqual(expected);
      const here = start(late, { plan: 'local' });
      await new Promise((resolve) => setImmediate(resolve));
      expect(late.here.count).toBe(at + 1);
      late.here.letGo();
      expect((await here.running).tokens).toEqual(expected);
      await until(() => late.devices[0]?.states.size === 0);
      await late.session.run({ inputs, plan: 'local', maxTokens: MAX_TOKENS });
    }
  });

  it('teaches that the place where it lost is slower by at least that', async () => {
    const late = await used({ runMs: SLOW_MS });
    const remoteMs = async (): Promise<number> => {
      const { plans } = await late.session.explain({ units: 5, tokens: MAX_TOKENS });
      // The link's part is not what it teaches.
      return plans.find(({ id }) => id === 'remote')?.prediction.endpointMs ?? 0;
    };
    const before = await remoteMs();
    late.there.arm(0);
    const { running } = start(late);
    await late.late(late.there);
    await running;
    late.there.letGo();
    expect(await remoteMs()).toBeGreaterThan(2 * before);
  });

  it('fails with what failed last when the other plan fails too', async () => {
    const late = await used({ runMs: SLOW_MS });
    const broken = new IsthmusError('run-failed', 'not today');
    late.there.arm(2);
    const { running, heard } = start(late);
    await until(() => late.there.isStalled);
    late.here.failure = broken;
    late.here.arm(0);
    late.there.failure = broken;
    await late.late(late.there);
    await late.seen(isHedge);
    late.wire.cut();
    const error = await rejection(running);
    expect(error).toMatchObject({ name: 'IsthmusError' });
    expect((error as IsthmusError).details.tried).toEqual(
      expect.arrayContaining([
        { plan: 'local', code: 'run-failed' },
        { plan: 'remote', code: 'endpoint-lost' },
      ]),
    );
    expect(heard).toEqual(expected.slice(0, 2));
    late.there.letGo();
  });

  it('goes on with the plan that is left when one fails in the race', async () => {
    const late = await used({ runMs: SLOW_MS });
    late.there.arm(2);
    late.here.arm(1);
    const { running, heard } = start(late);
    await late.late(late.there);
    await until(() => late.here.isStalled);
    late.wire.cut();
    late.here.letGo();
    const { tokens, report } = await running;
    expect(tokens).toEqual(expected);
    expect(heard).toEqual(expected);
    expect(report.hedge).toMatchObject({ winner: 'local', other: { error: { code: 'endpoint-lost' } } });
    late.there.letGo();
  });
});

describe('a race', () => {
  async function racing(): Promise<Late & ReturnType<typeof start> & { abort: AbortController }> {
    const late = await used({ runMs: SLOW_MS });
    const abort = new AbortController();
    late.there.arm(2);
    late.here.arm(3);
    const begun = start(late, { signal: abort.signal });
    await late.late(late.there);
    await until(() => late.here.isStalled);
    return { ...late, ...begun, abort };
  }

  it('is aborted at both ends', async () => {
    const { running, abort, here, there, endpoint, devices, session } = await racing();
    abort.abort();
    here.letGo();
    expect(await rejection(running)).toMatchObject({ code: 'aborted' });
    there.letGo();
    await until(() => endpoint.activeRequests === 0);
    // A look at the device may follow at once; what was aborted leaves nothing.
    await until(() => devices[0]?.states.size === 0);
    expect((await session.run({ inputs, plan: 'local', maxTokens: MAX_TOKENS })).tokens).toEqual(expected);
  });

  it('ends with its session', async () => {
    const { running, here, there, endpoint, devices, session } = await racing();
    const ended = rejection(running);
    await session.close();
    expect(await ended).toMatchObject({ code: 'closed' });
    here.letGo();
    there.letGo();
    await until(() => endpoint.activeRequests === 0);
    expect(devices[0]?.reason?.code).toBe('closed');
  });
});

describe('a start in two places', () => {
  it('is made when an endpoint that nobody saw may be the faster one; one answer is told', async () => {
    // Guessed at a third of this device, and a link that makes up for it.
    const late = await openLate(speech, { runMs: 60, frameMs: 300 });
    await until(() => late.wire.framesDown >= 4);
    const { running, heard } = start(late);
    const { tokens, report } = await running;
    expect(report.hedge).toMatchObject({ cause: 'doubt' });
    expect(tokens).toEqual(expected);
    expect(heard).toEqual(expected);
    await until(() => late.endpoint.activeRequests === 0);
    await until(() => late.devices[0]?.states.size === 0);
  });
});

describe('no second plan begins', () => {
  it.each<[string, Partial<RunOptions>, Partial<LateSetup>]>([
    ['beside a plan that was asked for', { plan: 'remote' }, {}],
    ['where the request says never', { hedge: 'never' }, {}],
    ['where the session says never', {}, { hedge: 'never' }],
    ['where nothing may go on elsewhere', {}, { fallback: false }],
    ['where nothing may run here', { mode: 'only-cloud' }, {}],
  ])('%s', async (_, options, setup) => {
    const late = await used({ runMs: SLOW_MS, ...setup });
    late.there.arm(1);
    const { running } = start(late, options);
    await late.late(late.there);
    await late.late(late.there);
    expect(late.events.some(isHedge)).toBe(false);
    late.there.letGo();
    const { tokens, report } = await running;
    expect(tokens).toEqual(expected);
    expect(report.hedge).toBeUndefined();
  });

  it.each<[string, Partial<RunOptions>]>([
    ['where nothing may leave', { mode: 'only-device' }],
    ['where the endpoint may not see what goes in', { objective: 'private' }],
    ['where it would send too much', { maxBytesUp: 10 }],
  ])('%s', async (_, options) => {
    const late = await used({ runMs: QUICK_MS });
    const { framesUp } = late.wire;
    late.here.arm(1);
    const { running } = start(late, options);
    await late.late(late.here);
    await late.late(late.here);
    expect(late.events.some(isHedge)).toBe(false);
    late.here.letGo();
    expect((await running).tokens).toEqual(expected);
    expect(late.wire.framesUp).toBe(framesUp);
  });

  it('for an option that there is not', async () => {
    const late = await openLate(speech, { runMs: QUICK_MS });
    expect(await rejection(late.session.run({ inputs, hedge: 'always' as never }))).toMatchObject({
      code: 'bad-option',
    });
  });
});
