import { describe, expect, it } from 'vitest';
import type { ForwardResult, Lane } from '../../../src/runtime/lane.ts';
import { HeldLane } from '../../../src/session/text/held-lane.ts';

const BLOCKS = 4;
const ALL = { from: 0, to: BLOCKS };

/** A lane whose calls end when the test says so. */
function slow() {
  const calls: { readonly end: () => void; readonly fail: (error: unknown) => void }[] = [];
  const lane = {
    forward: () =>
      new Promise<ForwardResult>((resolve, reject) =>
        calls.push({ end: () => resolve({ tokens: [], tensors: {}, ms: 0 }), fail: reject }),
      ),
  } as unknown as Lane;
  const held = new HeldLane(lane, BLOCKS);
  const forward = (position: number, rows: number, span = ALL): Promise<unknown> =>
    held
      .forward({
        span,
        position,
        input: { kind: 'tokens', tokens: Array.from({ length: rows }, () => 1) },
        want: { kind: 'nothing' },
      })
      .catch((error: unknown) => error);
  return { held, forward, calls };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the book of a lane with several calls under way', () => {
  it('counts what has answered, and nothing that stands on what has not', async () => {
    const { held, forward, calls } = slow();
    const running = [forward(0, 10), forward(10, 10), forward(20, 10)];
    await turn();
    expect(held.filled(ALL)).toBe(0);
    calls[0]?.end();
    await running[0];
    expect(held.filled(ALL)).toBe(10);
    calls[1]?.fail(new Error('gone'));
    await running[1];
    // A lane that made it all the same is not believed: what it stands on was lost.
    calls[2]?.end();
    await running[2];
    expect(held.filled(ALL)).toBe(10);
  });

  it('is cut by a rewind for calls under way as well', async () => {
    const { held, forward, calls } = slow();
    const running = [forward(0, 10), forward(10, 10), forward(20, 10)];
    await turn();
    calls[0]?.end();
    await running[0];
    held.rewind(15);
    calls[1]?.end();
    calls[2]?.end();
    await Promise.all(running);
    expect(held.filled(ALL)).toBe(15);
    const again = forward(15, 5);
    await turn();
    held.rewind(3);
    calls[3]?.end();
    await again;
    expect(held.filled(ALL)).toBe(3);
  });

  it('is kept for each span', async () => {
    const { held, forward, calls } = slow();
    const first = { from: 0, to: 2 };
    const last = { from: 2, to: BLOCKS };
    const running = [forward(0, 10, first), forward(10, 10, first), forward(0, 10, last)];
    await turn();
    for (const call of calls) call.end();
    await Promise.all(running);
    expect([held.filled(first), held.filled(last), held.filled(ALL)]).toEqual([20, 10, 10]);
  });

  it('tells its own failures from those of others, the earlier ones too', async () => {
    const { held, forward, calls } = slow();
    const one = new Error('one');
    const running = [forward(0, 1), forward(1, 1)];
    await turn();
    calls[0]?.fail(one);
    calls[1]?.fail(new Error('two'));
    await Promise.all(running);
    expect(held.hasThrown(one)).toBe(true);
    expect(held.hasThrown(new Error('one'))).toBe(false);
    expect(held.hasThrown(undefined)).toBe(false);
  });
});
