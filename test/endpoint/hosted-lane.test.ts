/** Whose turn it is, on a lane that does what the test says and with nothing that takes time. */
import { expect, it } from 'vitest';
import { GREEDY } from '../../src/core/sampling.ts';
import { HostedLane, type HostedLoopOptions } from '../../src/endpoint/hosted-lane.ts';
import type { PlacedLane } from '../../src/endpoint/lane-runner.ts';
import { MAX_SLICE_TOKENS } from '../../src/endpoint/limits.ts';
import { LoadBook } from '../../src/endpoint/load-book.ts';
import { SegmentPool } from '../../src/endpoint/segment-pool.ts';
import { TurnQueue } from '../../src/endpoint/turn-queue.ts';
import type {
  ForwardRequest,
  LoopOptions,
  LoopPass,
  LoopRequest,
  LoopResult,
  TurnRequest,
} from '../../src/runtime/lane.ts';
import { PREFILL_ROWS } from '../../src/runtime/lane-run.ts';
import { decoderManifest } from '../fixtures/manifest.ts';

const manifest = { ...decoderManifest(), text: { contextLength: 5000, specialTokens: {}, addBos: false } };
const all = { from: 0, to: manifest.blocks.length };
const NO_DRAFTS = { drafted: 0, accepted: 0 };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Counts: each token is the position that it stands at. */
class CountingLane implements PlacedLane {
  readonly forwards: ForwardRequest[] = [];
  readonly slices: TurnRequest[] = [];
  endAt = Infinity;
  /** Tokens that a pass brings. */
  perPass = 1;

  async forward(request: ForwardRequest) {
    this.forwards.push(request);
    await turn();
    return { tokens: request.want.kind === 'pick' ? [7] : [], tensors: {}, ms: 1 };
  }

  async loop(request: TurnRequest, { onPass, signal }: LoopOptions): Promise<LoopResult> {
    this.slices.push(request);
    const tokens: number[] = [];
    while (tokens.length < request.maxTokens) {
      await turn();
      if (signal?.aborted) return { tokens, reason: 'stopped', ms: 1, ...NO_DRAFTS };
      const first = request.position + request.tokens.length + tokens.length;
      const made = counted(first, Math.min(this.perPass, request.maxTokens - tokens.length));
      const end = made.indexOf(this.endAt);
      if (end > 0) onPass({ tokens: made.slice(0, end), rows: this.perPass, ms: 1 });
      if (end >= 0) {
        tokens.push(...made.slice(0, end));
        return { tokens, reason: 'end', endToken: this.endAt, ms: 1, ...NO_DRAFTS };
      }
      tokens.push(...made);
      onPass({ tokens: made, rows: this.perPass, ms: 1 });
      if (request.maxPasses === 1 && tokens.length < request.maxTokens) {
        return { tokens, reason: 'stopped', ms: 1, ...NO_DRAFTS };
      }
    }
    return { tokens, reason: 'max-tokens', ms: 1, ...NO_DRAFTS };
  }

  async readState() {
    return {};
  }
  async writeState() {}
  async close() {}
}

function setup(queue = new TurnQueue()) {
  const lane = new CountingLane();
  let now = 0;
  const loader = { load: async () => undefined, unload: async () => undefined };
  const hosted = new HostedLane({
    manifest,
    lane,
    queue,
    pool: new SegmentPool(loader, 4),
    clock: { now: () => now++, epoch: () => 0 },
    load: new LoadBook(),
    watch: (work) => work,
  });
  return { lane, hosted, queue };
}

const request = (over: Partial<LoopRequest> = {}): LoopRequest => ({
  position: 0,
  tokens: [0],
  sampling: GREEDY,
  answer: [],
  endTokens: [],
  maxTokens: 10,
  ...over,
});

function listening(over: Partial<HostedLoopOptions> = {}) {
  const heard: number[] = [];
  const options: HostedLoopOptions = {
    onPass: ({ tokens }) => heard.push(...tokens),
    beforeTurn: async () => undefined,
    halt: new AbortController().signal,
    signal: new AbortController().signal,
    ...over,
  };
  return { heard, options };
}

const counted = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => from + at);

it('a loop that nobody waits for is one turn', async () => {
  const { lane, hosted } = setup();
  const { heard, options } = listening();
  const { result, timing } = await hosted.loop(request({ tokens: [0, 0, 0] }), options);
  expect(result).toEqual({ reason: 'max-tokens', ...NO_DRAFTS });
  expect(heard).toEqual(counted(3, 10));
  expect(lane.slices).toHaveLength(1);
  expect(timing.computeMs).toBeGreaterThan(0);
});

it('a loop gives way at its next pass to who comes, then goes on pass by pass beside others', async () => {
  const queue = new TurnQueue();
  const long = setup(queue);
  const short = setup(queue);
  const order: string[] = [];
  let second: Promise<unknown> | undefined;
  const one = listening({
    onPass: () => {
      order.push('long');
      if (order.length === 3) {
        const options = listening({ onPass: () => order.push('short') }).options;
        second = short.hosted.loop(request({ maxTokens: 4 }), options);
      }
    },
  });
  await long.hosted.loop(request({ maxTokens: 12 }), one.options);
  await second;
  // One more token may be under way when somebody comes.
  expect(order.slice(0, 3)).toEqual(['long', 'long', 'long']);
  const shared = order.slice(order.indexOf('short'), order.lastIndexOf('short') + 1);
  expect(shared).toEqual(['short', 'long', 'short', 'long', 'short', 'long', 'short']);
  expect(order.filter((who) => who === 'long')).toHaveLength(12);
  // Each slice goes on where the one before it ended.
  const last = long.lane.slices.at(-1);
  expect(last?.tokens).toEqual([last?.position ?? 0]);
  expect(last?.answer.at(-1)).toBe(last?.position);
  expect(long.lane.slices[0]?.maxTokens).toBe(12);
});

it('passes that bring several tokens are turns all the same, and end where the answer does', async () => {
  const queue = new TurnQueue();
  const [one, other] = [setup(queue), setup(queue)];
  for (const { lane } of [one, other]) lane.perPass = 3;
  const order: string[] = [];
  const loops = [one, other].map(async ({ hosted }, index) => {
    const heard: number[] = [];
    const { options } = listening({
      onPass: ({ tokens }) => {
        order.push(String(index));
        heard.push(...tokens);
      },
    });
    await hosted.loop(request({ maxTokens: 10 }), options);
    return heard;
  });
  for (const heard of await Promise.all(loops)) expect(heard).toEqual(counted(1, 10));
  // Ten tokens are four passes, and nobody has two while the other waits.
  expect(order.join('')).toMatch(/^(0+|1+)?(01|10)+(0+|1+)?$/);
  expect(order).toHaveLength(8);
  expect(one.lane.slices.at(-1)?.maxTokens).toBeLessThanOrEqual(10);
});

it('a long prompt runs in pieces, each a turn of its own, and so does a long answer', async () => {
  const { lane, hosted } = setup();
  const turns: number[] = [];
  const { heard, options } = listening({ beforeTurn: async (positions) => void turns.push(positions) });
  const tokens = Array<number>(2 * PREFILL_ROWS + 5).fill(1);
  await hosted.loop(request({ tokens, maxTokens: MAX_SLICE_TOKENS + 3 }), options);
  expect(lane.forwards.map(({ position }) => position)).toEqual([0, PREFILL_ROWS]);
  expect(lane.slices.map(({ maxTokens }) => maxTokens)).toEqual([MAX_SLICE_TOKENS, 3]);
  expect(heard).toEqual(counted(tokens.length, MAX_SLICE_TOKENS + 3));
  expect(turns).toEqual([
    PREFILL_ROWS,
    2 * PREFILL_ROWS,
    tokens.length + MAX_SLICE_TOKENS,
    tokens.length + MAX_SLICE_TOKENS + 3,
  ]);
});

it('rows that are picked from stay in one piece', async () => {
  const { lane, hosted } = setup();
  const drafts = Array<number>(20).fill(1);
  const tokens = Array<number>(PREFILL_ROWS + 10).fill(1);
  const { signal } = new AbortController();
  await hosted.forward(
    {
      span: all,
      position: 5,
      input: { kind: 'tokens', tokens },
      want: { kind: 'pick', pick: { sampling: GREEDY, answer: [], drafts } },
    },
    signal,
  );
  expect(lane.forwards).toHaveLength(1);
  await hosted.forward(
    {
      span: all,
      position: 5,
      input: { kind: 'tokens', tokens },
      want: { kind: 'pick', pick: { sampling: GREEDY, answer: [], drafts: drafts.slice(0, 9) } },
    },
    signal,
  );
  expect(lane.forwards.slice(1).map(({ position, want }) => [position, want.kind])).toEqual([
    [5, 'nothing'],
    [5 + PREFILL_ROWS, 'pick'],
  ]);
});

it('a halt ends it at a token, an end token too, and a cancel is silent', async () => {
  const { lane, hosted } = setup();
  const halt = new AbortController();
  const halted = listening({ halt: halt.signal });
  const options = {
    ...halted.options,
    onPass: ({ tokens }: LoopPass) => {
      halted.heard.push(...tokens);
      if (tokens.includes(4)) halt.abort();
    },
  };
  expect((await hosted.loop(request(), options)).result).toEqual({ reason: 'stopped', ...NO_DRAFTS });
  expect(halted.heard).toEqual(counted(1, 4));

  lane.endAt = 6;
  const ended = listening();
  expect((await hosted.loop(request(), ended.options)).result).toEqual({
    reason: 'end',
    endToken: 6,
    ...NO_DRAFTS,
  });
  expect(ended.heard).toEqual(counted(1, 5));

  const cancel = new AbortController();
  const cancelled = listening({ signal: cancel.signal });
  const running = hosted.loop(request({ maxTokens: 4000 }), cancelled.options);
  await turn();
  cancel.abort();
  await expect(running).rejects.toMatchObject({ code: 'aborted' });
});

it('a context that is full ends a loop that asked for more', async () => {
  const { lane, hosted } = setup();
  lane.loop = async (asked) => {
    lane.slices.push(asked);
    return { tokens: [], reason: 'max-tokens', ms: 0, ...NO_DRAFTS };
  };
  const { result } = await hosted.loop(request(), listening().options);
  expect(result).toEqual({ reason: 'max-tokens', ...NO_DRAFTS });
  expect(lane.slices).toHaveLength(1);
});
