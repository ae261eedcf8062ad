/** Lanes on a stream: what is refused, what ends them, and that nothing is left behind. */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { GREEDY } from '../../src/core/sampling.ts';
import { float32Tensor } from '../../src/core/tensor.ts';
import { createEndpoint, type EndpointOptions } from '../../src/endpoint/endpoint.ts';
import { encodeClientMessage } from '../../src/protocol/frame.ts';
import type { ForwardMessage, LoopMessage } from '../../src/protocol/lane-messages.ts';
import { MAX_CALLS_IN_FLIGHT, MAX_LANES_PER_CONNECTION } from '../../src/protocol/limits.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { type LoopPackage, llamaPackage } from '../runtime/loop-package.ts';
import { until } from '../session/with-session.ts';
import { importOnce } from './packages.ts';
import type { StreamClient } from './stream-client.ts';
import { connect, watched } from './with-endpoint.ts';

let pkg: LoopPackage;
let model: string;
let all: { from: number; to: number };

beforeAll(async () => {
  pkg = await llamaPackage(256);
  model = pkg.manifest.name;
  all = { from: 0, to: pkg.manifest.blocks.length };
});

async function startWatched(options: Partial<EndpointOptions> = {}) {
  const runners: ReturnType<typeof watched>[] = [];
  const endpoint = await createEndpoint({
    packages: [{ ...pkg, dir: '/nowhere' }],
    // It would hold state of its own for a while.
    rehearse: false,
    createRunner: (manifest, source) => {
      const next = watched(createNodeRunner(manifest, source));
      runners.push(next);
      return next.runner;
    },
    ...options,
  });
  onTestFinished(() => endpoint.close({ graceMs: 0 }));
  const client = await connect(endpoint);
  const openStates = (): number => runners.reduce((sum, { states }) => sum + states.size, 0);
  /** Nothing is held for anyone. */
  const empty = async (): Promise<void> => {
    await until(() => endpoint.openLanes === 0 && endpoint.activeRequests === 0 && openStates() === 0);
    expect(endpoint.metrics()).toMatchObject({ openLanes: 0, stateBytes: 0, activeRequests: 0 });
  };
  return { endpoint, client, runners, openStates, empty };
}

const open = (client: StreamClient, id: number): void =>
  client.send({ type: 'open', id, model, codec: 'fp32' });

const forward = (over: Partial<ForwardMessage> & Pick<ForwardMessage, 'id'>): ForwardMessage => {
  const tokens = over.tokens ?? [1, 2, 3];
  return {
    type: 'forward',
    call: 0,
    span: all,
    position: 0,
    rows: tokens.length,
    want: 'nothing',
    tokens,
    tensors: {},
    answer: [],
    drafts: [],
    ...over,
  };
};

const loop = (over: Partial<LoopMessage> & Pick<LoopMessage, 'id'>): LoopMessage => ({
  type: 'loop',
  call: 0,
  position: 0,
  tokens: [1, 2, 3],
  sampling: GREEDY,
  answer: [],
  endTokens: [],
  maxTokens: 8,
  ...over,
});

async function looped(client: StreamClient) {
  const tokens: number[] = [];
  for (;;) {
    const message = await client.any();
    if (message.type === 'looped') return { tokens, looped: message };
    if (message.type !== 'tokens' || message.step !== tokens.length) throw new Error(JSON.stringify(message));
    tokens.push(...message.tokens);
  }
}

async function errorOf(client: StreamClient) {
  const { id, error } = await client.next('error');
  return { id, code: error.code };
}

async function expectUsable(client: StreamClient): Promise<void> {
  open(client, 9999);
  client.send(loop({ id: 9999 }));
  expect((await looped(client)).tokens).toHaveLength(8);
  client.send({ type: 'cancel', id: 9999 });
}

describe('a lane', () => {
  it('answers its calls in order, with times, and is freed by a cancel', async () => {
    const { endpoint, client, openStates, empty } = await startWatched();
    open(client, 1);
    client.send(forward({ id: 1 }));
    client.send(loop({ id: 1, call: 1, position: 3, tokens: [4], maxTokens: 5, drafts: 0 }));
    client.send(forward({ id: 1, call: 4, position: 2, want: 'pick', sampling: GREEDY }));
    expect(await client.next('forwarded')).toMatchObject({ id: 1, call: 0, tokens: [], tensors: {} });
    const { tokens, looped: end } = await looped(client);
    expect(tokens).toHaveLength(5);
    expect(end).toMatchObject({ id: 1, call: 1, reason: 'max-tokens' });
    expect(end.timing.computeMs).toBeGreaterThan(0);
    expect((await client.next('forwarded')).tokens).toHaveLength(1);
    expect(openStates()).toBe(1);
    const { tokens: count, rows, requests, stateBytes } = endpoint.metrics();
    expect({ count, rows }).toEqual({ count: 6, rows: 3 + 1 + 4 + 3 });
    expect(requests).toEqual({ 'lane:forward': 2, 'lane:loop': 1 });
    expect(stateBytes).toBeGreaterThan(0);
    client.send({ type: 'cancel', id: 1 });
    client.send({ type: 'cancel', id: 1 });
    await empty();
    await expectUsable(client);
  });

  it('ends its loop at the next token when told to, and that one only', async () => {
    const { client } = await startWatched();
    open(client, 1);
    client.send({ type: 'halt', id: 1, call: 0 });
    client.send(loop({ id: 1, maxTokens: 200 }));
    client.send(loop({ id: 1, call: 1, position: 0, maxTokens: 3 }));
    await client.next('tokens');
    client.send({ type: 'halt', id: 1, call: 0 });
    client.send({ type: 'halt', id: 1, call: 7 });
    let message = await client.any();
    while (message.type === 'tokens') message = await client.any();
    expect(message).toMatchObject({ type: 'looped', call: 0, reason: 'stopped' });
    expect((await looped(client)).looped).toMatchObject({ call: 1, reason: 'max-tokens' });
  });

  it('shares the runner: who comes second with little is done first', async () => {
    const { endpoint, client } = await startWatched();
    const second = await connect(endpoint);
    open(client, 1);
    open(second, 1);
    let firstIsDone = false;
    client.send(loop({ id: 1, maxTokens: 250 }));
    await client.next('tokens');
    second.send(loop({ id: 1, maxTokens: 4 }));
    const first = (async () => {
      let message = await client.any();
      while (message.type === 'tokens') message = await client.any();
      firstIsDone = true;
      return message;
    })();
    expect((await looped(second)).tokens).toHaveLength(4);
    expect(firstIsDone).toBe(false);
    expect(await first).toMatchObject({ type: 'looped', reason: 'max-tokens' });
  });
});

describe('refused', () => {
  it('are calls that make no sense, each by a code, and their lane ends with them', async () => {
    const { client, empty } = await startWatched();
    const hidden = (rows: number, width = 64) =>
      float32Tensor(new Float32Array(rows * width), [1, rows, width]);
    const crossing =
      Object.keys(
        Object.fromEntries(pkg.manifest.cuts[2]?.crossings.step?.sent.map(({ name }) => [name, 0]) ?? []),
      )[0] ?? '';
    const inner = { span: { from: 2, to: all.to }, tokens: [], rows: 2 };
    const state = pkg.manifest.stages[0]?.kind === 'loop' ? pkg.manifest.stages[0].states : [];
    const wrong: [Parameters<StreamClient['send']>[0], string][] = [
      [forward({ id: 1, position: 1 }), 'bad-option'],
      [forward({ id: 1, span: { from: 0, to: all.to + 1 } }), 'bad-option'],
      [forward({ id: 1, span: { from: 0, to: 2 }, want: 'pick', sampling: GREEDY }), 'bad-option'],
      [forward({ id: 1, want: 'crossing' }), 'bad-option'],
      [forward({ id: 1, tokens: [160] }), 'bad-tensor'],
      [forward({ id: 1, position: 254 }), 'input-too-long'],
      [forward({ id: 1, tensors: { step: { [crossing]: hidden(3) } } }), 'bad-tensor'],
      [forward({ id: 1, ...inner }), 'bad-tensor'],
      [forward({ id: 1, ...inner, tensors: { step: { [crossing]: hidden(3) } } }), 'bad-tensor'],
      [forward({ id: 1, ...inner, tensors: { step: { [crossing]: hidden(2, 32) } } }), 'bad-tensor'],
      [forward({ id: 1, ...inner, tensors: { once: { [crossing]: hidden(2) } } }), 'bad-tensor'],
      [forward({ id: 1, ...inner, tensors: { step: { other: hidden(2) } } }), 'bad-tensor'],
      [loop({ id: 1, tokens: [1_000_000] }), 'bad-tensor'],
      [loop({ id: 1, position: 4 }), 'bad-option'],
      [{ type: 'read-state', id: 1, call: 0, span: all, from: 0, to: 1 }, 'bad-option'],
      [{ type: 'read-state', id: 1, call: 0, span: { from: 0, to: 99 }, from: 0, to: 1 }, 'bad-option'],
      [{ type: 'write-state', id: 1, call: 0, span: all, from: 0, tensors: {} }, 'bad-tensor'],
      [
        {
          type: 'write-state',
          id: 1,
          call: 0,
          span: { from: 1, to: 2 },
          from: 0,
          tensors: { step: Object.fromEntries(state.map(({ input }) => [input, hidden(1)])) },
        },
        'bad-tensor',
      ],
    ];
    for (const [index, [message, code]] of wrong.entries()) {
      open(client, 1);
      client.send(message);
      expect([index, await errorOf(client)]).toEqual([index, { id: 1, code }]);
      client.send(forward({ id: 1, call: 8 }));
      expect(await errorOf(client)).toEqual({ id: 1, code: 'unknown-session' });
    }
    await empty();
    await expectUsable(client);
  });

  it('are ids and calls that were used before', async () => {
    const { client, empty } = await startWatched();
    client.send(forward({ id: 1 }));
    expect(await errorOf(client)).toEqual({ id: 1, code: 'unknown-session' });
    // A halt of what is over is nothing.
    client.send({ type: 'halt', id: 1, call: 0 });
    open(client, 1);
    open(client, 1);
    expect(await errorOf(client)).toEqual({ id: 1, code: 'bad-frame' });
    open(client, 1);
    client.start({ id: 1, model, span: all, tensors: {} });
    expect(await errorOf(client)).toEqual({ id: 1, code: 'bad-frame' });
    open(client, 1);
    client.send({ type: 'step', id: 1, step: 1, tensors: {} });
    expect(await errorOf(client)).toEqual({ id: 1, code: 'unknown-session' });
    open(client, 1);
    client.send(forward({ id: 1, call: 3 }));
    await client.next('forwarded');
    client.send(forward({ id: 1, call: 3 }));
    expect(await errorOf(client)).toEqual({ id: 1, code: 'bad-frame' });
    await empty();
  });

  it('are frames that are cut off, which end the lane that they name', async () => {
    const { client, empty } = await startWatched();
    const tensors = { step: { x: float32Tensor(new Float32Array(2), [2]) } };
    const frame = encodeClientMessage(forward({ id: 1, tokens: [], rows: 1, tensors }));
    open(client, 1);
    client.socket.send(frame.subarray(0, frame.length - 1));
    expect(await errorOf(client)).toEqual({ id: 1, code: 'bad-frame' });
    await empty();
    await expectUsable(client);
  });

  it('are models that have no text to hold', async () => {
    const once = await importOnce();
    const { client } = await startWatched({
      packages: [{ manifest: once.manifest, source: pkg.source, dir: '/nowhere' }],
      warm: false,
    });
    client.send({ type: 'open', id: 1, model: 'once', codec: 'fp32' });
    expect(await errorOf(client)).toEqual({ id: 1, code: 'unsupported-model' });
    client.send({ type: 'open', id: 1, model: 'nobody', codec: 'fp32' });
    expect(await errorOf(client)).toEqual({ id: 1, code: 'unknown-model' });
  });

  it('are floods: of lanes, of calls, of state', async () => {
    const { endpoint, client, empty } = await startWatched({ maxLanes: MAX_LANES_PER_CONNECTION + 1 });
    for (let id = 0; id < MAX_LANES_PER_CONNECTION; id += 1) open(client, id);
    open(client, 100);
    expect(await errorOf(client)).toEqual({ id: 100, code: 'limit-exceeded' });
    const other = await connect(endpoint);
    open(other, 0);
    open(other, 1);
    expect(await errorOf(other)).toEqual({ id: 1, code: 'limit-exceeded' });
    for (let id = 0; id < MAX_LANES_PER_CONNECTION; id += 1) client.send({ type: 'cancel', id });
    await other.close();
    await empty();

    open(client, 1);
    for (let call = 0; call <= MAX_CALLS_IN_FLIGHT + 1; call += 1) {
      client.send({ type: 'read-state', id: 1, call, span: all, from: 0, to: 1 });
    }
    const codes = new Set<string>();
    while (!codes.has('unknown-session')) codes.add((await errorOf(client)).code);
    await empty();
  });

  it('is state beyond the bound', async () => {
    const { client, empty } = await startWatched({ maxStateBytes: 100 });
    open(client, 1);
    client.send(forward({ id: 1 }));
    expect(await errorOf(client)).toEqual({ id: 1, code: 'limit-exceeded' });
    await empty();
  });
});

describe('a lane ends', () => {
  it('when nobody has called it for long', async () => {
    const { client, empty } = await startWatched({ idleLaneMs: 1 });
    open(client, 1);
    client.send(forward({ id: 1 }));
    await client.next('forwarded');
    expect(await errorOf(client)).toEqual({ id: 1, code: 'unknown-session' });
    await empty();
  });

  it('with its connection, in the middle of a loop', async () => {
    const { endpoint, client, empty } = await startWatched();
    for (const id of [1, 2]) {
      open(client, id);
      client.send(loop({ id, maxTokens: 200 }));
    }
    await client.next('tokens');
    expect(endpoint.openLanes).toBe(2);
    client.socket.terminate();
    await empty();
  });

  it('with its runner; the next one lives', async () => {
    const { client, runners, empty } = await startWatched();
    open(client, 1);
    client.send(loop({ id: 1, maxTokens: 200 }));
    await client.next('tokens');
    runners[0]?.die();
    let message = await client.any();
    while (message.type === 'tokens') message = await client.any();
    expect(message).toMatchObject({ type: 'error', id: 1, error: { code: 'worker-lost' } });
    await expectUsable(client);
    expect(runners).toHaveLength(2);
    await empty();
  });

  it('when the endpoint stops: idle ones at once, loops at their next token', async () => {
    const { endpoint, client } = await startWatched();
    open(client, 1);
    open(client, 2);
    client.send(forward({ id: 1 }));
    await client.next('forwarded');
    client.send(loop({ id: 2, maxTokens: 250 }));
    await client.next('tokens');
    const closing = endpoint.close({ graceMs: 0 });
    const ended = new Map<number, string>();
    let after = 0;
    while (ended.size < 2) {
      const message = await client.any();
      if (message.type === 'error') ended.set(message.id, message.error.code);
      else if (ended.has(message.type === 'tokens' ? message.id : -1)) after += 1;
    }
    expect([...ended].sort()).toEqual([
      [1, 'endpoint-stopping'],
      [2, 'endpoint-stopping'],
    ]);
    await closing;
    expect(await client.closed).toBe(1001);
    await expect(client.any()).rejects.toThrow();
    expect(after).toBe(0);
    expect(endpoint.openLanes).toBe(0);
  });

  it('after the call that a stop has let finish', async () => {
    const { endpoint, client } = await startWatched();
    open(client, 1);
    client.send(loop({ id: 1, maxTokens: 20 }));
    await client.next('tokens');
    const closing = endpoint.close();
    let message = await client.any();
    while (message.type === 'tokens') message = await client.any();
    expect(message).toMatchObject({ type: 'looped', reason: 'max-tokens' });
    expect(await errorOf(client)).toEqual({ id: 1, code: 'endpoint-stopping' });
    await closing;
  });
});
