import { beforeEach, describe, expect, it } from 'vitest';
import { GREEDY } from '../../../src/core/sampling.ts';
import type { Lane } from '../../../src/runtime/lane.ts';
import { HeldLane } from '../../../src/session/text/held-lane.ts';
import { type MoveRequest, prepareMove } from '../../../src/session/text/move.ts';
import { routeOf } from '../../../src/session/text/route.ts';

const BLOCKS = 3;
const ALL = { from: 0, to: BLOCKS };

/** A move away from the endpoint, onto the device unless said otherwise; nothing can be copied. */
const fromRemote = (more: Pick<MoveRequest, 'tokens' | 'openLane' | 'signal'> & Partial<MoveRequest>) =>
  prepareMove({
    current: routeOf('remote', BLOCKS),
    target: routeOf('local', BLOCKS),
    lanes: {},
    sampling: GREEDY,
    costs: { recompute: () => 1, transfer: () => Number.POSITIVE_INFINITY },
    ...more,
  });

/** A lane that does nothing but tell of its calls. */
const laneThat = (onCall: () => void): Lane =>
  ({
    forward: async () => {
      onCall();
      return { tokens: [], tensors: {}, ms: 0 };
    },
    close: async () => undefined,
  }) as unknown as Lane;

describe('a move that is prepared', () => {
  it('goes on catching up while the old route is halted, and stops when that has ended', async () => {
    const tokens = [1, 2, 3, 4, 5];
    const ended = new AbortController();
    const upTo: number[] = [];
    const device = {
      forward: async ({ position, input }: Parameters<Lane['forward']>[0]) => {
        const rows = input.kind === 'tokens' ? input.tokens.length : input.rows;
        upTo.push(position + rows);
        // Tokens that the old route still makes; the last one comes when it has ended.
        if (tokens.length === 6 || tokens.length === 7) tokens.push(9);
        if (tokens.length === 8) ended.abort();
        return { tokens: [], tensors: {}, ms: 0 };
      },
      close: async () => undefined,
    } as unknown as Lane;
    const move = await fromRemote({
      tokens,
      openLane: async () => new HeldLane(device, BLOCKS),
      signal: new AbortController().signal,
    });
    // One more time for what ends the model.
    expect(upTo).toEqual([4, 4]);
    upTo.length = 0;
    tokens.push(6);
    await move.follow(ended.signal);
    expect(upTo).toEqual([5, 6]);
    await move.follow(ended.signal);
    expect(upTo).toEqual([5, 6]);
  });

  let expected: number[] = [];
  beforeEach(() => {
    expected = [];
  });
  const beatOf = (tokens: number[], times: { now: () => number; lastAt: () => number }) => ({
    ...times,
    next: async () => {
      tokens.push(5);
    },
    expect: (pauseMs: number) => {
      expected.push(pauseMs);
      return pauseMs < 140;
    },
  });

  it('meets the old route at a token that has just come, with all before it run', async () => {
    const tokens = [1, 2, 3];
    const over = new AbortController();
    let made = 0;
    const device = laneThat(() => {
      made += 1;
      // A token comes during the first of its calls only.
      if (made === 3) tokens.push(9);
    });
    const held = new HeldLane(device, BLOCKS);
    const move = await fromRemote({
      tokens,
      openLane: async () => held,
      signal: over.signal,
    });
    expect(move.isApart).toBe(true);
    tokens.push(4);
    // It came long ago.
    const beat = beatOf(tokens, { now: () => 100 * made, lastAt: () => 0 });
    expect(await move.meet(beat, over.signal)).toBe(true);
    expect(tokens).toEqual([1, 2, 3, 4, 9, 5]);
    expect(held.filled(ALL)).toBe(5);
    over.abort();
    expect(await move.meet(beat, over.signal).catch(() => false)).toBe(false);
  });

  it('meets one that is faster when the pause is no longer felt', async () => {
    const tokens = [1, 2, 3];
    const over = new AbortController();
    let made = 0;
    const device = laneThat(() => {
      made += 1;
      // One comes during each of its calls.
      tokens.push(9);
    });
    const held = new HeldLane(device, BLOCKS);
    const move = await fromRemote({ tokens, openLane: async () => held, signal: over.signal });
    const calls = made;
    // Steps of 100 ms; from the third on a token has come 10 ms before its end.
    const now = () => 100 * made;
    const lastAt = () => now() - (made - calls < 3 ? 120 : 10);
    expect(await move.meet(beatOf(tokens, { now, lastAt }), over.signal)).toBe(true);
    expect(made - calls).toBe(3);
    expect(tokens.length - held.filled(ALL)).toBe(1);
    expect(tokens).not.toContain(5);
    // What it is late, and a first step that takes a quarter more.
    expect(expected.slice(1)).toEqual([120 + 125, 10 + 125]);
  });

  it('is not apart where both routes use one place', async () => {
    const lane = new HeldLane(
      {
        forward: async () => ({ tokens: [], tensors: {}, ms: 0 }),
        close: async () => undefined,
      } as unknown as Lane,
      BLOCKS,
    );
    const move = await fromRemote({
      target: routeOf({ cut: 1 }, BLOCKS),
      lanes: { endpoint: lane },
      tokens: [1, 2],
      openLane: async () => lane,
      signal: new AbortController().signal,
    });
    expect(move.isApart).toBe(false);
  });
});

describe('a lane whose loop was left to its end', () => {
  it('counts what was the text by then, and lets nobody in before the loop has ended', async () => {
    let end: () => void = () => undefined;
    const calls: string[] = [];
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const lane = new HeldLane(
      {
        loop: async () => {
          await ended;
          calls.push('loop ended');
          return { tokens: [7, 7, 7, 7], reason: 'stopped', ms: 0 };
        },
        forward: async () => {
          calls.push('forward');
          return { tokens: [], tensors: {}, ms: 0 };
        },
      } as unknown as Lane,
      BLOCKS,
    );
    const loop = lane.loop(
      { position: 0, tokens: [1, 2, 3], sampling: GREEDY, answer: [], endTokens: [], maxTokens: 9 },
      { onPass: () => undefined },
    );
    lane.leave(5, loop);
    lane.rewind(4);
    const forward = lane.forward({
      span: ALL,
      position: 4,
      input: { kind: 'tokens', tokens: [8, 8] },
      want: { kind: 'nothing' },
    });
    await Promise.resolve();
    expect(calls).toEqual([]);
    end();
    await loop;
    expect(lane.filled(ALL)).toBe(4);
    await forward;
    expect(calls).toEqual(['loop ended', 'forward']);
    expect(lane.filled(ALL)).toBe(6);
  });
});
