import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ShownLater } from '../../../src/tasks/text/shown-later.ts';

/** Pauses that end when their time is reached, in any order for equal times. */
function scene(): {
  later: ShownLater;
  seen: string[];
  advance: (to: number) => Promise<void>;
  now: () => number;
} {
  const seen: string[] = [];
  const waits: { at: number; resolve: () => void }[] = [];
  let time = 0;
  const later = new ShownLater(
    (text) => seen.push(text),
    (ms) => new Promise((resolve) => waits.push({ at: time + ms, resolve })),
  );
  const advance = async (to: number): Promise<void> => {
    time = to;
    for (const wait of waits.filter(({ at }) => at <= to).reverse()) wait.resolve();
    await Promise.resolve();
    await Promise.resolve();
  };
  return { later, seen, advance, now: () => time };
}

describe('text that is shown later', () => {
  it('shows what need not wait at once', () => {
    const { later, seen } = scene();
    later.show('a', 0);
    expect(seen).toEqual(['a']);
  });

  it('shows nothing before its time, and what follows not before it', async () => {
    const { later, seen, advance } = scene();
    later.show('a', 20);
    later.show('b', 0);
    expect(seen).toEqual([]);
    await advance(20);
    expect(seen).toEqual(['a', 'b']);
  });

  it('shows all that waits when it is flushed, and none of it twice', async () => {
    const { later, seen, advance } = scene();
    later.show('a', 20);
    later.show('b', 30);
    later.flush();
    later.show('c', 0);
    expect(seen).toEqual(['a', 'b', 'c']);
    await advance(100);
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  it('keeps the order, whatever the times', async () => {
    const piece = fc.record({ hold: fc.nat(50), gap: fc.nat(20) });
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
        const { later, seen, advance, now } = scene();
        for (const [index, { hold, gap }] of pieces.entries()) {
          later.show(String(index), hold);
          await advance(now() + gap);
        }
        await advance(now() + 100);
        expect(seen).toEqual(pieces.map((_, index) => String(index)));
      }),
    );
  });
});
