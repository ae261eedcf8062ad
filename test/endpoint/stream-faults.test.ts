import { beforeAll, describe, expect, it } from 'vitest';
import type { EndpointOptions } from '../../src/endpoint/endpoint.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { encodeClientMessage } from '../../src/protocol/frame.ts';
import { MAX_FRAME_BYTES, MAX_SESSIONS_PER_CONNECTION } from '../../src/protocol/limits.ts';
import type { StartMessage } from '../../src/protocol/messages.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { importSpeech, onDisk } from './packages.ts';
import type { StreamClient } from './stream-client.ts';
import { connect, crossed, features, opened, reference, start, watched } from './with-endpoint.ts';

let speech: OpenedPackage;
let blocks: number;
let whole: Pick<StartMessage, 'model' | 'span' | 'tensors'>;
/** A request that starts inside the loop, so that it stays open between steps. */
let stepped: Pick<StartMessage, 'model' | 'span' | 'tensors'>;

beforeAll(async () => {
  speech = await onDisk(await importSpeech('speech', []));
  blocks = speech.manifest.blocks.length;
  whole = { model: 'speech', span: { from: 0, to: blocks }, tensors: { once: { features: features() } } };
  const runner = createNodeRunner(speech.manifest, speech.source);
  const cut = blocks - 2;
  const near = await opened(speech, { from: 0, to: cut }, runner);
  stepped = {
    model: 'speech',
    span: { from: cut, to: blocks },
    tensors: crossed(await near.start({ once: { features: features() } })),
  };
  await runner.close();
});

/** An endpoint whose states are watched. */
async function startWatched(options: Partial<EndpointOptions> = {}) {
  const runners: ReturnType<typeof watched>[] = [];
  const endpoint = await start({
    packages: [speech],
    createRunner: (manifest, source) => {
      const next = watched(createNodeRunner(manifest, source));
      runners.push(next);
      return next.runner;
    },
    ...options,
  });
  const openStates = (): number => runners.reduce((sum, { states }) => sum + states.size, 0);
  return { endpoint, runners, openStates };
}

async function expectUsable(client: StreamClient): Promise<void> {
  client.start({ ...whole, id: 999 });
  const { tokens } = await client.tokens();
  expect(tokens).toEqual(await reference(speech, features()));
}

async function errorOf(client: StreamClient) {
  const { id, error } = await client.next('error');
  return { id, code: error.code };
}

describe('what a stream refuses', () => {
  it('are starts that the model cannot run, each by a code, and goes on', async () => {
    const { endpoint, openStates } = await startWatched({ maxInputBytes: 10_000 });
    const client = await connect(endpoint);
    const { features: good } = whole.tensors.once ?? {};
    if (good === undefined) throw new Error('no features');
    const refused: [Partial<StartMessage>, string][] = [
      [{ model: 'nobody' }, 'unknown-model'],
      [{ span: { from: 0, to: blocks + 1 } }, 'bad-option'],
      [{ tensors: {} }, 'bad-tensor'],
      [{ tensors: { once: { other: good } } }, 'bad-tensor'],
      [{ tensors: { once: { features: good, other: good } } }, 'bad-tensor'],
      [{ tensors: { once: { features: { ...good, dims: [5, 8] } } } }, 'bad-tensor'],
      [{ tensors: { once: { features: { ...good, dtype: 'int32' } } } }, 'bad-tensor'],
      [{ tensors: { once: { features: features(0) } } }, 'bad-tensor'],
      [{ tensors: { once: { features: features(400) } } }, 'input-too-long'],
      [{ tensors: { once: { features: good }, step: { features: good } } }, 'bad-tensor'],
      [{ prefix: [1_000_000] }, 'bad-option'],
      [{ ...stepped, prefix: [1] }, 'bad-option'],
    ];
    for (const [id, [change, code]] of refused.entries()) {
      client.start({ ...whole, id, ...change });
      expect([id, await errorOf(client)]).toEqual([id, { id, code }]);
    }
    expect(openStates()).toBe(0);
    await expectUsable(client);
  });

  it('are frames that say nothing, without losing the connection', async () => {
    const { endpoint } = await startWatched();
    const client = await connect(endpoint);
    const good = encodeClientMessage({ type: 'cancel', id: 4 });
    for (const frame of [
      new Uint8Array(),
      new Uint8Array(3),
      good.subarray(0, good.length - 3),
      new Uint8Array(64),
    ]) {
      client.socket.send(frame);
      expect(await errorOf(client)).toEqual({ id: -1, code: 'bad-frame' });
    }
    client.socket.send('a text');
    expect(await errorOf(client)).toEqual({ id: -1, code: 'bad-frame' });
    // Cut behind the header: whose tensors they were can still be read.
    const start4 = encodeClientMessage({
      type: 'start',
      codec: 'fp32',
      maxTokens: 1,
      prefix: [],
      ...whole,
      id: 4,
    });
    client.socket.send(start4.subarray(0, start4.length - 1));
    expect(await errorOf(client)).toEqual({ id: 4, code: 'bad-frame' });
    await expectUsable(client);
  });

  it('are messages too large for a connection, with the code for that', async () => {
    const { endpoint } = await startWatched();
    const client = await connect(endpoint);
    client.socket.send(new Uint8Array(MAX_FRAME_BYTES + 1));
    expect(await client.closed).toBe(1009);
    await expectUsable(await connect(endpoint));
  });

  it('are steps that do not fit their request, which they end', async () => {
    const { endpoint, openStates } = await startWatched();
    const client = await connect(endpoint);
    const { step = {} } = stepped.tensors;
    client.send({ type: 'step', id: 1, step: 1, tensors: { step } });
    expect(await errorOf(client)).toEqual({ id: 1, code: 'unknown-session' });
    const wrong: [number, StartMessage['tensors'], string][] = [
      [2, { step }, 'bad-frame'],
      [1, {}, 'bad-tensor'],
      [1, { step, init: step }, 'bad-tensor'],
      [1, { step: { other: Object.values(step)[0] ?? features() } }, 'bad-tensor'],
    ];
    for (const [at, tensors, code] of wrong) {
      client.start({ ...stepped, id: 1 });
      await client.next('tokens');
      expect(openStates()).toBe(1);
      client.send({ type: 'step', id: 1, step: at, tensors });
      expect(await errorOf(client)).toEqual({ id: 1, code });
      expect(openStates()).toBe(0);
    }
    client.start({ ...whole, id: 1, maxTokens: 64 });
    client.send({ type: 'step', id: 1, step: 1, tensors: { step } });
    for (;;) {
      const message = await client.any();
      if (message.type === 'tokens') continue;
      expect(message).toMatchObject({ type: 'error', id: 1, error: { code: 'bad-frame' } });
      break;
    }
    expect([openStates(), endpoint.activeRequests]).toEqual([0, 0]);
    await expectUsable(client);
  });

  it('are ids that are in use, and what used them ends', async () => {
    const { endpoint, openStates } = await startWatched();
    const client = await connect(endpoint);
    client.start({ ...stepped, id: 1 });
    await client.next('tokens');
    client.start({ ...stepped, id: 1 });
    expect(await errorOf(client)).toEqual({ id: 1, code: 'bad-frame' });
    expect(openStates()).toBe(0);
    await expectUsable(client);
  });

  it('are more requests than a connection or the endpoint takes', async () => {
    const { endpoint } = await startWatched({ maxSessions: MAX_SESSIONS_PER_CONNECTION + 1 });
    const client = await connect(endpoint);
    for (let id = 0; id < MAX_SESSIONS_PER_CONNECTION; id += 1) {
      client.start({ ...stepped, id });
      await client.next('tokens');
    }
    client.start({ ...stepped, id: 100 });
    expect(await errorOf(client)).toEqual({ id: 100, code: 'limit-exceeded' });
    const other = await connect(endpoint);
    other.start({ ...stepped, id: 1 });
    await other.next('tokens');
    other.start({ ...stepped, id: 2 });
    expect(await errorOf(other)).toEqual({ id: 2, code: 'limit-exceeded' });
    await client.close();
    await expect.poll(() => endpoint.activeRequests).toBe(1);
    await expectUsable(other);
  });
});

describe('state', () => {
  it('is freed by a cancel, which is answered, also when nothing is left to cancel', async () => {
    const { endpoint, openStates } = await startWatched();
    const client = await connect(endpoint);
    client.start({ ...stepped, id: 1 });
    await client.next('tokens');
    expect([openStates(), endpoint.activeRequests]).toEqual([1, 1]);
    client.send({ type: 'cancel', id: 1 });
    expect(await client.next('done')).toMatchObject({ id: 1, reason: 'cancelled' });
    expect([openStates(), endpoint.activeRequests]).toEqual([0, 0]);
    client.send({ type: 'cancel', id: 1 });
    await expectUsable(client);
  });

  it('is freed when the connection goes, whatever its requests are doing', async () => {
    const { endpoint, openStates } = await startWatched();
    const client = await connect(endpoint);
    for (let id = 0; id < 4; id += 1) client.start({ ...stepped, id });
    for (let id = 4; id < 8; id += 1) client.start({ ...whole, id, maxTokens: 64 });
    await client.next('tokens');
    client.socket.terminate();
    await expect.poll(() => endpoint.activeRequests).toBe(0);
    expect(openStates()).toBe(0);
    expect(endpoint.metrics().connections).toBe(0);
  });

  it('is freed when no step comes', async () => {
    const { endpoint, openStates } = await startWatched({ idleRequestMs: 20 });
    const client = await connect(endpoint);
    client.start({ ...stepped, id: 1 });
    await client.next('tokens');
    expect(await errorOf(client)).toEqual({ id: 1, code: 'unknown-session' });
    expect([openStates(), endpoint.activeRequests]).toEqual([0, 0]);
  });
});

describe('turns', () => {
  it('go round between requests', async () => {
    const { endpoint } = await startWatched();
    const client = await connect(endpoint);
    // Loaded first, so that both wait for nothing but turns.
    await expectUsable(client);
    client.start({ ...whole, id: 1, maxTokens: 12 });
    client.start({ ...whole, id: 2, maxTokens: 12 });
    const order: number[] = [];
    for (let ended = 0; ended < 2; ) {
      const message = await client.any();
      if (message.type === 'tokens') order.push(message.id);
      else if (message.type === 'done') ended += 1;
    }
    const half = order.slice(0, 12);
    expect(half.filter((id) => id === 1).length).toBeGreaterThanOrEqual(5);
    expect(half.filter((id) => id === 2).length).toBeGreaterThanOrEqual(5);
  });

  it('are waited for on the clock that the endpoint was given', async () => {
    let now = 0;
    // Each look at the clock takes a second, so whoever waits is seen to wait whole seconds.
    const clock = { now: () => (now += 1000), epoch: () => 0 };
    const { endpoint } = await startWatched({ clock });
    const client = await connect(endpoint);
    client.start({ ...whole, id: 1, maxTokens: 3 });
    const { done } = await client.tokens();
    expect(done.timing.queueMs % 1000).toBe(0);
    // Once for the encoder, once for each of three steps; building the sessions is told apart.
    expect(done.timing.queueMs).toBe(4000);
    expect(done.timing.loadMs).toBe(1000);
  });
});

describe('a runner that dies', () => {
  it('fails what it was doing, and the next request gets another', async () => {
    const { endpoint, runners, openStates } = await startWatched();
    const client = await connect(endpoint);
    client.start({ ...stepped, id: 1 });
    await client.next('tokens');
    runners[0]?.die();
    client.send({ type: 'step', id: 1, step: 1, tensors: { step: stepped.tensors.step ?? {} } });
    expect(await errorOf(client)).toEqual({ id: 1, code: 'worker-lost' });
    await expectUsable(client);
    // Dead while idle: found out by the next request, which does not suffer from it.
    runners[1]?.die();
    client.start({ ...stepped, id: 2 });
    await client.next('tokens');
    expect(runners).toHaveLength(3);
    await client.close();
    await expect.poll(() => endpoint.activeRequests).toBe(0);
    expect(openStates()).toBe(0);
  });
});

describe('an endpoint that stops', () => {
  it('lets requests finish within the grace', async () => {
    const { endpoint } = await startWatched();
    const client = await connect(endpoint);
    client.start({ ...stepped, id: 1, maxTokens: 2 });
    await client.next('tokens');
    const closing = endpoint.close({ graceMs: 60_000 });
    client.start({ ...whole, id: 2 });
    expect(await errorOf(client)).toEqual({ id: 2, code: 'endpoint-stopping' });
    client.send({ type: 'step', id: 1, step: 1, tensors: { step: stepped.tensors.step ?? {} } });
    await client.next('tokens');
    expect(await client.next('done')).toMatchObject({ id: 1, reason: 'max-tokens' });
    await closing;
    expect(await client.closed).toBe(1001);
  });

  it('tells what is still open after it, and frees its state', async () => {
    const { endpoint, openStates } = await startWatched();
    const client = await connect(endpoint);
    client.start({ ...stepped, id: 1 });
    await client.next('tokens');
    await Promise.all([endpoint.close({ graceMs: 0 }), endpoint.close()]);
    expect(await errorOf(client)).toEqual({ id: 1, code: 'endpoint-stopping' });
    expect(await client.closed).toBe(1001);
    expect(openStates()).toBe(0);
    await expect(fetch(`${endpoint.url}/v2/health/live`)).rejects.toThrow();
  });
});
