import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EvenGaps } from '../../../src/session/text/even-gaps.ts';

/** Times at which tokens are shown that come at the given ones. */
function shown(gaps: EvenGaps, arrivals: readonly number[]): number[] {
  return arrivals.map((at) => at + gaps.holdMs(at));
}

const times = (from: number, gap: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => from + index * gap);

const between = (all: readonly number[]): number[] => all.slice(1).map((at, index) => at - (all[index] ?? 0));

describe('even gaps', () => {
  it('shows tokens as they come while no pause is expected', () => {
    expect(shown(new EvenGaps(), [0, 20, 41, 60])).toEqual([0, 20, 41, 60]);
  });

  it('spreads a pause of twice the usual gap over the tokens before it', () => {
    const gaps = new EvenGaps();
    const all = shown(gaps, times(0, 20, 30));
    let now = 580;
    while (!gaps.expect(40)) {
      now += 20;
      all.push(...shown(gaps, [now]));
    }
    gaps.over();
    all.push(...shown(gaps, [now + 40]));
    expect(all.at(-1)).toBe(now + 40);
    expect(Math.max(...between(all))).toBeCloseTo(24);
    expect(now).toBe(660);
  });

  it('does not hold text back for a place that is far slower', () => {
    const gaps = new EvenGaps();
    let now = 0;
    let longest = 0;
    while (now < 1000) {
      longest = Math.max(longest, gaps.holdMs(now));
      now += 20;
      gaps.expect(900);
    }
    expect(longest).toBe(100);
    expect(gaps.expect(900)).toBe(true);
  });

  it('holds nothing where the pause is shorter than the gaps', () => {
    const gaps = new EvenGaps();
    shown(gaps, times(0, 20, 30));
    expect(gaps.expect(15)).toBe(true);
    expect(shown(gaps, times(600, 20, 5))).toEqual(times(600, 20, 5));
  });

  it('never shows a token before its time or an earlier one, nor holds it longer than the pause', () => {
    const step = fc.record({ gap: fc.nat(200), pause: fc.option(fc.nat(300)), isOver: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const gaps = new EvenGaps();
        let now = 0;
        let last = 0;
        let longest = 0;
        for (const { gap, pause, isOver } of steps) {
          now += gap;
          if (pause !== null) gaps.expect(pause);
          if (isOver) gaps.over();
          longest = Math.max(longest, pause ?? 0);
          const hold = gaps.holdMs(now);
          expect(hold).toBeGreaterThanOrEqual(0);
          expect(hold).toBeLessThanOrEqual(longest);
          expect(now + hold).toBeGreaterThanOrEqual(last);
          last = now + hold;
        }
      }),
    );
  });
});
