/** A lane at the other end of a link that breaks, lies, or is given up on. */
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { GREEDY } from '../../../src/core/sampling.ts';
import type { Span } from '../../../src/core/span.ts';
import { decodeClientMessage, encodeServerMessage } from '../../../src/protocol/frame.ts';
import { type ClientMessage, PROTOCOL_VERSION, type ServerMessage } from '../../../src/protocol/messages.ts';
import type { ForwardRequest, LoopPass, LoopRequest } from '../../../src/runtime/lane.ts';
import { EndpointLink } from '../../../src/session/endpoint-link.ts';
import { type CallTiming, openRemoteLane } from '../../../src/session/text/remote-lane.ts';
import { type MemoryConnection, memoryPair } from '../../../src/transport/memory.ts';
import { type LoopPackage, llamaPackage, plainPackage, prompt } from '../../runtime/loop-package.ts';
import { rejection, until } from '../with-session.ts';
import { startRemote } from './remote-setup.ts';

let pkg: LoopPackage;
let all: Span;

beforeAll(async () => {
  pkg = await llamaPackage(512);
  all = { from: 0, to: pkg.manifest.blocks.length };
});

const TIMING = { queueMs: 0, computeMs: 1 };
const nothing = { kind: 'nothing' } as const;
const loop = (over: Partial<LoopRequest> = {}): LoopRequest => ({
  position: 0,
  tokens: prompt(6, 160),
  sampling: GREEDY,
  answer: [],
  endTokens: [],
  maxTokens: 12,
  ...over,
});
const rows = (count: number, over: Partial<ForwardRequest> = {}): ForwardRequest => ({
  span: all,
  position: 0,
  input: { kind: 'tokens', tokens: prompt(count, 160) },
  want: nothing,
  ...over,
});
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An endpoint that says what the test says. */
async function scripted(of: LoopPackage = pkg, onTiming?: (timing: CallTiming) => void) {
  const heard: ClientMessage[] = [];
  let far: MemoryConnection | undefined;
  const say = (message: ServerMessage): void => far?.send(encodeServerMessage(message));
  const model = of.manifest.name;
  const link = new EndpointLink({
    connect: async () => {
      const [near, end] = memoryPair();
      far = end;
      end.onFrame((frame) => heard.push(decodeClientMessage(frame)));
      say({ type: 'hello', protocol: PROTOCOL_VERSION, models: [model] });
      return near;
    },
    clock: systemClock,
    timeout: () => new AbortController().signal,
    model,
    onState: () => undefined,
  });
  const timed = onTiming === undefined ? {} : { onTiming };
  const lane = await openRemoteLane(link, { manifest: of.manifest, codec: 'fp32', ...timed });
  await turn();
  const opened = heard[0];
  if (opened?.type !== 'open') throw new Error('no lane was opened');
  const { id } = opened;
  const forwarded = (call: number, tokens: readonly number[] = []): void =>
    say({ type: 'forwarded', id, call, tokens, tensors: {}, timing: TIMING });
  const token = (step: number, tokens: readonly number[]): void =>
    say({ type: 'tokens', id, step, tokens, timing: TIMING });
  const types = (): string[] => heard.map(({ type }) => type);
  return { lane, link, heard, id, say, forwarded, token, types, broken: () => far?.break() };
}

describe('a lane whose endpoint is lost', () => {
  it('in the middle of a loop tells what came before, in order, then that', async () => {
    const { open, wire, endpoint } = await startRemote(pkg);
    const reference: number[] = [];
    await (await open()).loop(loop({ maxTokens: 200 }), {
      onPass: ({ tokens }) => reference.push(...tokens),
    });
    const lane = await open();
    const told: number[] = [];
    const running = lane.loop(loop({ maxTokens: 200 }), {
      onPass: ({ tokens }) => {
        told.push(...tokens);
        if (told.length >= 5) wire.cut();
      },
    });
    expect(await rejection(running)).toMatchObject({ code: 'endpoint-lost' });
    expect(told).toEqual(reference.slice(0, told.length));
    expect(lane.filled(all)).toBe(0);
    expect(await rejection(lane.forward(rows(1)))).toMatchObject({ code: 'endpoint-lost' });
    await lane.close();
    await until(() => endpoint.openLanes === 0);
    // The link makes another connection, and what was lost is made again.
    const next = await open();
    const known = told.slice(0, 5);
    const rest = await next.loop(
      loop({ tokens: [...prompt(6, 160), ...known], answer: known, maxTokens: 7 }),
      { onPass: () => undefined },
    );
    expect(rest.tokens).toEqual(reference.slice(5, 12));
    await next.close();
    await until(() => endpoint.openLanes === 0);
  });

  it('in the middle of a forward fails all calls that are under way', async () => {
    const { lane, heard, broken } = await scripted();
    const calls = [0, 1, 2].map((position) => lane.forward(rows(1, { position })));
    const outcome = Promise.allSettled(calls);
    await until(() => heard.length === 4);
    broken();
    const codes = (await outcome).map((result) => result.status === 'rejected' && result.reason.code);
    expect(codes).toEqual(['endpoint-lost', 'endpoint-lost', 'endpoint-lost']);
  });

  it('by a stop hears that it stops', async () => {
    const { open, endpoint } = await startRemote(pkg);
    const lane = await open();
    let closing: Promise<void> | undefined;
    const running = lane.loop(loop({ maxTokens: 400 }), {
      onPass: () => {
        closing ??= endpoint.close({ graceMs: 0 });
      },
    });
    expect(await rejection(running)).toMatchObject({ code: 'endpoint-stopping' });
    await closing;
    expect(endpoint.openLanes).toBe(0);
  });

  it('because it lay idle hears that at its next call', async () => {
    const { open, endpoint } = await startRemote(pkg, { idleLaneMs: 1 });
    const lane = await open();
    await lane.forward(rows(3));
    await until(() => endpoint.openLanes === 0);
    expect(await rejection(lane.forward(rows(1, { position: 3 })))).toMatchObject({
      code: 'unknown-session',
    });
    expect(lane.filled(all)).toBe(0);
  });
});

describe('an abort', () => {
  it('of a forward under way is heard at once, and the late answer by nobody', async () => {
    const { lane, heard, forwarded } = await scripted();
    const abort = new AbortController();
    const first = lane.forward(rows(4));
    const given = rejection(lane.forward(rows(2, { position: 4 }), { signal: abort.signal }));
    await until(() => heard.length === 3);
    abort.abort();
    expect(await given).toMatchObject({ code: 'aborted' });
    expect(lane.filled(all)).toBe(4);
    const third = lane.forward(
      rows(3, { position: 4, want: { kind: 'pick', pick: { sampling: GREEDY, answer: [], drafts: [] } } }),
    );
    await until(() => heard.length === 4);
    forwarded(0);
    forwarded(1, [99]);
    forwarded(2, [7]);
    expect((await first).tokens).toEqual([]);
    expect((await third).tokens).toEqual([7]);
    expect(lane.filled(all)).toBe(7);
    // The others bring nothing that anybody would wait for.
    expect(lane.traffic().roundTrips).toBe(1);
  });

  it('of a loop under way stops it there; what was under way still comes first', async () => {
    const { lane, heard, id, say, token } = await scripted();
    const abort = new AbortController();
    const told: number[] = [];
    const running = lane.loop(loop(), { signal: abort.signal, onPass: ({ tokens }) => told.push(...tokens) });
    await until(() => heard.length === 2);
    token(0, [5]);
    await until(() => told.length === 1);
    abort.abort();
    await until(() => heard.length === 3);
    expect(heard[2]).toEqual({ type: 'halt', id, call: 0 });
    token(1, [6]);
    say({ type: 'tokens', id, step: 2, tokens: [7, 8], rows: 2, timing: TIMING });
    say({ type: 'looped', id, call: 0, reason: 'stopped', timing: TIMING });
    expect(await running).toMatchObject({ tokens: [5, 6, 7, 8], reason: 'stopped' });
    expect(told).toEqual([5, 6, 7, 8]);
    expect(lane.filled(all)).toBe(6 + 3);
  });

  it('of a loop that has not begun sends nothing', async () => {
    const { lane, heard } = await scripted();
    const onPass = (): void => expect.unreachable();
    const stopped = await lane.loop(loop(), { signal: AbortSignal.abort(), onPass });
    expect(stopped).toMatchObject({ tokens: [], reason: 'stopped' });
    expect(heard).toHaveLength(1);
  });

  it('by a listener that throws halts the loop, and the lane lives', async () => {
    const { open } = await startRemote(pkg);
    const lane = await open();
    const running = lane.loop(loop({ maxTokens: 400 }), {
      onPass: () => {
        throw new Error('the page is gone');
      },
    });
    expect(await rejection(running)).toMatchObject({ message: 'the page is gone' });
    const again = await lane.loop(loop(), { onPass: () => undefined });
    const fresh = await (await open()).loop(loop(), { onPass: () => undefined });
    expect(again.tokens).toEqual(fresh.tokens);
  });
});

describe('an endpoint that makes no sense', () => {
  type Script = Awaited<ReturnType<typeof scripted>>;
  it.each<[string, (script: Script) => void]>([
    ['tokens out of order', ({ token }) => token(1, [5])],
    ['tokens beyond the vocabulary', ({ token }) => token(0, [160])],
    [
      'more tokens than rows can make',
      ({ id, say, token }) => {
        token(0, [5]);
        say({ type: 'tokens', id, step: 1, tokens: [6, 7], timing: TIMING });
      },
    ],
    ['more tokens than were asked for', ({ token }) => token(0, Array(13).fill(1))],
    [
      'another call',
      ({ id, say }) => say({ type: 'looped', id, call: 9, reason: 'end', endToken: 2, timing: TIMING }),
    ],
    [
      'an end without its token',
      ({ id, say }) => say({ type: 'looped', id, call: 0, reason: 'end', timing: TIMING }),
    ],
    ['another kind', ({ forwarded }) => forwarded(0)],
  ])('%s ends the lane', async (_, spoil) => {
    const script = await scripted();
    const running = rejection(script.lane.loop(loop(), { onPass: () => undefined }));
    await until(() => script.heard.length === 2);
    spoil(script);
    expect(await running).toMatchObject({ code: 'bad-frame' });
    await until(() => script.types().includes('cancel'));
    expect(await rejection(script.lane.forward(rows(1)))).toMatchObject({ code: 'bad-frame' });
  });

  it('with state that is not what was asked for ends the lane', async () => {
    const { lane, heard, forwarded } = await scripted();
    const filling = lane.forward(rows(4));
    const reading = rejection(lane.readState(all, 0, 4));
    await until(() => heard.length === 3);
    forwarded(0);
    forwarded(1);
    await filling;
    expect(await reading).toMatchObject({ code: 'bad-tensor' });
  });
});

describe('a call', () => {
  it('for scores is refused, and the lane is as it was', async () => {
    const { lane, heard } = await scripted();
    const scores = lane.forward(rows(1, { want: { kind: 'scores', rows: 1 } }));
    expect(await rejection(scores)).toMatchObject({ code: 'bad-option' });
    expect(heard).toHaveLength(1);
  });

  it('that rewinds what cannot be rewound is refused here', async () => {
    const of = plainPackage({ shift: true });
    const lane = await (await startRemote(of)).open();
    const span = { from: 0, to: of.manifest.blocks.length };
    const step = (position: number) =>
      lane.forward({ span, position, input: { kind: 'tokens', tokens: [1] }, want: nothing });
    await step(0);
    await step(1);
    expect(await rejection(step(1))).toMatchObject({ code: 'bad-option' });
    expect(await rejection(lane.readState(span, 0, 1))).toMatchObject({ code: 'unsupported-model' });
    await step(2);
    await step(0);
    expect(lane.filled(span)).toBe(1);
  });

  it('waits for answers that say what the state holds', async () => {
    const { lane, heard, id, say, token } = await scripted();
    const first = lane.loop(loop({ maxTokens: 2 }), { onPass: () => undefined });
    const second = lane.forward(rows(1, { position: 7 }));
    await until(() => heard.length === 2);
    await turn();
    expect(heard).toHaveLength(2);
    token(0, [5]);
    token(1, [6]);
    say({ type: 'looped', id, call: 0, reason: 'max-tokens', timing: TIMING });
    await first;
    await until(() => heard.length === 3);
    expect(heard[2]).toMatchObject({ type: 'forward', call: 1, position: 7 });
    const closed = rejection(second);
    await lane.close();
    expect(await closed).toMatchObject({ code: 'closed' });
  });

  it('hears passes with guesses as what they are', async () => {
    const timings: CallTiming[] = [];
    const { lane, heard, id, say, token } = await scripted(pkg, (timing) => timings.push(timing));
    const passes: LoopPass[] = [];
    const asked = loop({ position: 0, tokens: [1, 2], maxTokens: 9, drafts: 'auto' });
    const running = lane.loop(asked, { onPass: (pass) => passes.push(pass) });
    await until(() => heard.length === 2);
    expect(heard[1]).not.toHaveProperty('drafts');
    token(0, [5]);
    say({ type: 'tokens', id, step: 1, tokens: [6, 7, 8], rows: 5, timing: TIMING });
    say({ type: 'looped', id, call: 0, reason: 'stopped', drafted: 4, accepted: 2, timing: TIMING });
    expect(await running).toMatchObject({ tokens: [5, 6, 7, 8], drafted: 4, accepted: 2 });
    expect(passes.map(({ tokens, rows: count }) => [tokens, count])).toEqual([
      [[5], 2],
      [[6, 7, 8], 5],
    ]);
    expect(timings.map(({ rows: count }) => count)).toEqual([2, 5]);
    expect(lane.filled(all)).toBe(2 + 3);
    const plain = rejection(lane.loop(loop({ position: 5, tokens: [8] }), { onPass: () => undefined }));
    await until(() => heard.length === 3);
    expect(heard[2]).toMatchObject({ drafts: 0 });
    await lane.close();
    await plain;
  });

  it('tells its times and what passed the wire', async () => {
    const timings: CallTiming[] = [];
    const { open, wire } = await startRemote(pkg);
    const lane = await open({ onTiming: (timing) => timings.push(timing) });
    await lane.forward(rows(4));
    await lane.loop(loop({ position: 4, tokens: [1, 2], maxTokens: 3 }), { onPass: () => undefined });
    await lane.readState(all, 0, 2);
    expect(timings.map(({ kind, rows: count }) => [kind, count])).toEqual([
      ['forward', 4],
      ['pass', 2],
      ['pass', 1],
      ['pass', 1],
      ['state', 2],
    ]);
    for (const { timing, totalMs } of timings) {
      expect(timing.computeMs).toBeGreaterThan(0);
      expect(totalMs).toBeGreaterThan(0);
    }
    const traffic = lane.traffic();
    expect(traffic.roundTrips).toBe(2);
    expect(traffic.bytesUp).toBe(wire.bytesUp);
    expect(traffic.bytesDown).toBeLessThan(wire.bytesDown);
  });

  it('crosses in the codec of its lane', async () => {
    const { open } = await startRemote(pkg);
    const near = { from: 0, to: 3 };
    const tensors = async (codec: 'fp32' | 'int8') => {
      const lane = await open({ codec });
      const { tensors } = await lane.forward(rows(40, { span: near, want: { kind: 'crossing' } }));
      await lane.forward({
        span: { from: 3, to: all.to },
        position: 0,
        input: { kind: 'tensors', tensors, rows: 40 },
        want: nothing,
      });
      return { tensors, traffic: lane.traffic() };
    };
    const plain = await tensors('fp32');
    const coded = await tensors('int8');
    const bytes = 40 * 64 * 4;
    expect(plain.traffic.bytesUp - coded.traffic.bytesUp).toBeGreaterThan(bytes / 2);
    expect(plain.traffic.bytesDown - coded.traffic.bytesDown).toBeGreaterThan(bytes / 2);
    expect(coded.tensors).not.toEqual(plain.tensors);
  });

  it('leaves nothing behind when many lanes have come and gone', async () => {
    const { open, endpoint } = await startRemote(pkg);
    for (let round = 0; round < 30; round += 1) {
      const lane = await open();
      const abort = new AbortController();
      const running = lane.loop(loop({ maxTokens: 10 }), {
        signal: abort.signal,
        onPass: () => (round % 2 === 0 ? abort.abort() : undefined),
      });
      if (round % 3 === 0) {
        const outcome = Promise.allSettled([running]);
        await lane.close();
        await outcome;
      } else {
        await running;
        await lane.close();
      }
    }
    await until(() => endpoint.openLanes === 0 && endpoint.activeRequests === 0);
    expect(endpoint.metrics()).toMatchObject({ openLanes: 0, stateBytes: 0, activeRequests: 0 });
  });
});
