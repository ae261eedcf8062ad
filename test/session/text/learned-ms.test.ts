import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LearnedMs } from '../../../src/session/text/learned-ms.ts';

function learning(...seen: readonly number[]) {
  const learned = new LearnedMs(1);
  for (const ms of seen) learned.learn(ms);
  return learned;
}

describe('a time that is learned', () => {
  it('is what the first run says, whatever was supposed', () => {
    expect(learning(400).ms).toBe(400);
    const again = learning(400, 400, 400);
    again.restart();
    again.learn(7);
    expect(again.ms).toBe(7);
  });

  it('is the mean of the first few runs', () => {
    expect(learning(10, 12).ms).toBeCloseTo(11);
    expect(learning(10, 12, 11, 11).ms).toBeCloseTo(11);
  });

  it('is not moved by a run that is far off, unless the next is off the same way', () => {
    expect(learning(10, 10, 80).ms).toBe(10);
    expect(learning(10, 10, 80, 10, 80, 2, 80).ms).toBe(10);
    expect(learning(10, 10, 80, 80).ms).toBeGreaterThan(20);
    expect(learning(...Array<number>(9).fill(10), ...Array<number>(20).fill(30)).ms).toBeGreaterThan(28);
  });

  it('moves little by a run that tells little, even as one of the first', () => {
    const learned = learning(10);
    learned.learn(14, 0.05);
    expect(learned.ms).toBeGreaterThan(10);
    expect(learned.ms).toBeLessThan(10.3);
    // The next whole one counts as the second.
    learned.learn(13);
    expect(learned.ms).toBeGreaterThan(11.4);
  });

  it('takes of two beliefs about what it was the one that a run bears out', () => {
    const changed = learning(10, 10, 10);
    changed.learn(2.1, 1, 2);
    expect(changed.ms).toBeCloseTo(2, 1);
    const same = learning(10, 10, 10);
    same.learn(9.5, 1, 2);
    expect(same.ms).toBeGreaterThan(9.5);
  });

  it('stays among what was seen', () => {
    // A coarse clock shows some as nothing.
    const ms = fc.oneof(fc.constant(0), fc.double({ min: 1e-3, max: 1e6, noNaN: true }));
    const run = fc.tuple(ms, fc.double({ min: 0.01, max: 1, noNaN: true }));
    fc.assert(
      fc.property(fc.array(run, { minLength: 1, maxLength: 40 }), (runs) => {
        const learned = new LearnedMs(1);
        for (const [seen, telling] of runs) learned.learn(seen, telling);
        const all = runs.map(([seen]) => seen);
        expect(learned.ms).toBeGreaterThanOrEqual(Math.min(...all) * (1 - 1e-9));
        expect(learned.ms).toBeLessThanOrEqual(Math.max(...all) * (1 + 1e-9));
      }),
    );
  });
});
