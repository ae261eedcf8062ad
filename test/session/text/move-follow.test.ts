import { describe, expect, it } from 'vitest';
import type { Lane } from '../../../src/runtime/lane.ts';
import { HeldLane } from '../../../src/session/text/held-lane.ts';
import { prepareMove } from '../../../src/session/text/move.ts';
import { routeOf } from '../../../src/session/text/route.ts';

const BLOCKS = 3;

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
    const move = await prepareMove({
      current: routeOf('remote', BLOCKS),
      target: routeOf('local', BLOCKS),
      lanes: {},
      tokens,
      costs: { recompute: () => 1, transfer: () => Number.POSITIVE_INFINITY },
      openLane: async () => new HeldLane(device, BLOCKS),
      signal: new AbortController().signal,
    });
    expect(upTo).toEqual([4]);
    tokens.push(6);
    await move.follow(ended.signal);
    expect(upTo).toEqual([4, 5, 6]);
    await move.follow(ended.signal);
    expect(upTo).toEqual([4, 5, 6]);
  });
});
