/** The link against endpoints that lie, dawdle or break: every failure has its code, and none hangs. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { IsthmusError } from '../../src/errors.ts';
import type { EndpointState } from '../../src/planner/types.ts';
import { decodeClientMessage, encodeServerMessage } from '../../src/protocol/frame.ts';
import { type ClientMessage, PROTOCOL_VERSION, type ServerMessage } from '../../src/protocol/messages.ts';
import { EndpointLink } from '../../src/session/endpoint-link.ts';
import { type MemoryConnection, memoryPair } from '../../src/transport/memory.ts';
import { rejection } from './with-session.ts';

const HELLO: ServerMessage = { type: 'hello', protocol: PROTOCOL_VERSION, models: ['speech'] };
const START = {
  span: { from: 0, to: 1 },
  tensors: {},
  codec: 'fp32',
  maxTokens: 3,
  prefix: [],
} as const;
const TIMING = { queueMs: 0, computeMs: 1 };

/** An endpoint that says what the test says. */
function scripted(greeting: ServerMessage | Uint8Array | undefined = HELLO) {
  const ends: MemoryConnection[] = [];
  const heard: ClientMessage[] = [];
  const states: EndpointState[] = [];
  const timeouts: AbortController[] = [];
  const say = (message: ServerMessage | Uint8Array, at = ends.length - 1): void =>
    ends[at]?.send(message instanceof Uint8Array ? message : encodeServerMessage(message));
  const link = new EndpointLink({
    connect: async () => {
      const [near, far] = memoryPair();
      ends.push(far);
      far.onFrame((frame) => heard.push(decodeClientMessage(frame)));
      if (greeting !== undefined) say(greeting);
      return near;
    },
    clock: systemClock,
    timeout: () => {
      const controller = new AbortController();
      timeouts.push(controller);
      return controller.signal;
    },
    model: 'speech',
    onState: (state) => states.push(state),
  });
  return { link, ends, heard, states, timeouts, say };
}

const start = (link: EndpointLink, signal?: AbortSignal) => link.start(START, { codec: 'fp32' }, signal);
const late = () => new DOMException('late', 'TimeoutError');
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the first words', () => {
  it.each<[string, ServerMessage | Uint8Array, string]>([
    ['another version', { ...HELLO, protocol: PROTOCOL_VERSION + 1 } as ServerMessage, 'wrong-version'],
    ['another model', { ...HELLO, models: ['other'] } as ServerMessage, 'unknown-model'],
    ['nothing that can be read', new Uint8Array([1, 2, 3]), 'bad-frame'],
    [
      'a refusal',
      { type: 'error', id: -1, error: { code: 'endpoint-stopping', message: 'bye' } },
      'endpoint-stopping',
    ],
  ])('that are %s end the attempt, and the next one is free to succeed', async (_, greeting, code) => {
    const { link, states, ends } = scripted(greeting);
    expect(await rejection(link.ready())).toMatchObject({ name: 'IsthmusError', code });
    expect(states).toEqual(['down']);
    await turn();
    expect(await rejection(link.ready())).toMatchObject({ code });
    expect(ends).toHaveLength(2);
  });

  it('that never come are waited for no longer than their limit', async () => {
    const { link, timeouts, states } = scripted(undefined);
    // `undefined` asks for the default greeting; this endpoint is silent.
    expect(states).toEqual([]);
    const silent = new EndpointLink({
      connect: async () => memoryPair()[0],
      clock: systemClock,
      timeout: () => {
        const controller = new AbortController();
        timeouts.push(controller);
        return controller.signal;
      },
      model: 'speech',
      onState: (state) => states.push(state),
    });
    const waiting = rejection(silent.ready());
    await turn();
    timeouts.at(-1)?.abort(late());
    expect(await waiting).toMatchObject({ code: 'endpoint-lost' });
    expect(states).toEqual(['down']);
    link.close();
  });

  it('are shared by all who wait; one who gives up takes nothing from the others', async () => {
    const { link, ends } = scripted();
    const abort = new AbortController();
    const gaveUp = rejection(link.ready(abort.signal));
    const patient = link.ready();
    abort.abort();
    expect(await gaveUp).toMatchObject({ code: 'aborted' });
    await patient;
    expect(ends).toHaveLength(1);
    expect(link.state).toBe('up');
  });
});

describe('an endpoint that cannot be reached', () => {
  it('is looked for more and more rarely by who can do without, and at once when it was there', async () => {
    let now = 0;
    let isThere = false;
    const [near, far] = memoryPair();
    const link = new EndpointLink({
      connect: async () => {
        if (!isThere) throw new IsthmusError('endpoint-lost', 'nobody answers');
        far.send(encodeServerMessage(HELLO));
        return near;
      },
      clock: { now: () => now, epoch: () => now },
      timeout: () => new AbortController().signal,
      model: 'speech',
      onState: () => undefined,
    });
    expect(link.isRetryDue).toBe(true);
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 32_000]) {
      await expect(link.ready()).rejects.toMatchObject({ code: 'endpoint-lost' });
      now += waitMs - 1;
      expect(link.isRetryDue).toBe(false);
      now += 1;
      expect(link.isRetryDue).toBe(true);
    }
    isThere = true;
    await link.ready();
    expect(link.isRetryDue).toBe(true);
  });
});

describe('a request', () => {
  it('whose endpoint falls silent asks, and is lost when there is no answer', async () => {
    const { link, heard, timeouts, states } = scripted();
    const request = await start(link);
    const waiting = rejection(request.next());
    await turn();
    timeouts.at(-1)?.abort(late());
    await turn();
    expect(heard.at(-1)).toMatchObject({ type: 'ping' });
    timeouts.at(-1)?.abort(late());
    expect(await waiting).toMatchObject({ code: 'endpoint-lost' });
    await turn();
    expect(states).toEqual(['up', 'down']);
  });

  it('waits on while the endpoint answers that it is there', async () => {
    const { link, heard, timeouts, say } = scripted();
    const request = await start(link);
    const waiting = request.next();
    await turn();
    timeouts.at(-1)?.abort(late());
    await turn();
    const asked = heard.at(-1);
    say({ type: 'pong', id: asked?.type === 'ping' ? asked.id : 0, padding: new Uint8Array(0) });
    await turn();
    say({ type: 'tokens', id: request.id, step: 0, tokens: [7], timing: TIMING });
    expect(await waiting).toMatchObject({ tokens: [7] });
  });

  it('counts its own frames and no one else’s', async () => {
    const { link, say, heard } = scripted();
    const request = await start(link);
    const ping = link.ping(0, new Uint8Array(10_000));
    await turn();
    const sent = heard.find((message) => message.type === 'ping');
    say({ type: 'pong', id: sent?.id ?? 0, padding: new Uint8Array(20_000) });
    await ping;
    say({ type: 'tokens', id: request.id, step: 0, tokens: [1], timing: TIMING });
    await request.next();
    const traffic = request.traffic();
    expect(traffic).toMatchObject({ framesUp: 1, framesDown: 1 });
    expect(traffic.bytesUp).toBeLessThan(1_000);
    expect(traffic.bytesDown).toBeLessThan(1_000);
  });

  it('gets what came before the break, then the break', async () => {
    const { link, say, ends, states } = scripted();
    const request = await start(link);
    say({ type: 'tokens', id: request.id, step: 0, tokens: [7], timing: TIMING });
    await turn();
    ends[0]?.break();
    await turn();
    expect(await request.next()).toMatchObject({ tokens: [7] });
    expect(await rejection(request.next())).toMatchObject({ code: 'endpoint-lost' });
    expect(states).toEqual(['up', 'down']);
    // Cancelling what is gone is harmless.
    request.cancel();
  });

  it.each(['worker-lost', 'aborted', 'closed', 'weights-missing'] as const)(
    'hears of `%s` at the endpoint as a failure of the endpoint, not of this device',
    async (code) => {
      const { link, say } = scripted();
      const request = await start(link);
      say({ type: 'error', id: request.id, error: { code, message: 'over there' } });
      expect(await rejection(request.next())).toMatchObject({
        code: 'endpoint-failed',
        details: { code },
      });
      expect(link.state).toBe('up');
    },
  );

  it('keeps the codes that mean the same on both sides', async () => {
    const { link, say } = scripted();
    const request = await start(link);
    say({ type: 'error', id: request.id, error: { code: 'limit-exceeded', message: 'full' } });
    expect(await rejection(request.next())).toMatchObject({ code: 'limit-exceeded', message: 'full' });
  });

  it('fails with the connection on bytes that cannot be read', async () => {
    const { link, say, states, ends } = scripted();
    const request = await start(link);
    let isClosed = false;
    ends[0]?.onClose(() => {
      isClosed = true;
    });
    say(new Uint8Array([1, 0, 0, 0, 120]));
    expect(await rejection(request.next())).toMatchObject({ code: 'bad-frame' });
    await turn();
    expect(isClosed).toBe(true);
    expect(states).toEqual(['up', 'down']);
    const again = await start(link);
    say({ type: 'tokens', id: again.id, step: 0, tokens: [1], timing: TIMING });
    expect(await again.next()).toMatchObject({ tokens: [1] });
  });

  it('that is aborted drops what has come and tells the endpoint', async () => {
    const { link, say, heard } = scripted();
    const abort = new AbortController();
    const request = await start(link, abort.signal);
    say({ type: 'tokens', id: request.id, step: 0, tokens: [1], timing: TIMING });
    await turn();
    abort.abort();
    expect(await rejection(request.next())).toMatchObject({ code: 'aborted' });
    request.cancel();
    request.cancel();
    await turn();
    expect(heard.filter((message) => message.type === 'cancel')).toHaveLength(1);
  });

  it('that is over is not cancelled', async () => {
    const { link, say, heard } = scripted();
    const request = await start(link);
    say({ type: 'done', id: request.id, reason: 'eos', timing: TIMING, segments: {} });
    await request.next();
    request.cancel();
    await turn();
    expect(heard.map(({ type }) => type)).toEqual(['start']);
  });
});

describe('a ping', () => {
  it('that is not answered counts as lost after its limit', async () => {
    const { link, timeouts } = scripted();
    const ping = rejection(link.ping(0, new Uint8Array(0)));
    await turn();
    timeouts.at(-1)?.abort(late());
    expect(await ping).toMatchObject({ code: 'endpoint-lost' });
  });
});

describe('a close', () => {
  it('fails what is under way with `closed`, says so to nobody, and lasts', async () => {
    const { link, states } = scripted();
    const request = await start(link);
    link.close();
    link.close();
    expect(await rejection(request.next())).toMatchObject({ code: 'closed' });
    expect(await rejection(link.ready())).toMatchObject({ code: 'closed' });
    await turn();
    expect(states).toEqual(['up']);
  });
});
