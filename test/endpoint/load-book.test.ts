import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoadBook } from '../../src/endpoint/load-book.ts';
import { MAX_LOAD_MS, MAX_LOAD_PACES } from '../../src/protocol/limits.ts';

const SEGMENT = { stage: 0, from: 0, to: 7 };

describe('what an endpoint tells of its load', () => {
  it('is nothing where nobody was', () => {
    expect(new LoadBook().report(0, false, 0)).toEqual({ queueMs: 0, paces: [] });
  });

  it('is the mean of late waits over time, soon forgotten in a quiet', () => {
    const book = new LoadBook();
    for (let index = 0; index < 40; index += 1) book.answered(200, 250, 1_000 + index * 100);
    const busy = book.report(2, true, 4_900).queueMs;
    expect(busy).toBeGreaterThan(140);
    expect(busy).toBeLessThanOrEqual(200);
    expect(book.report(0, false, 6_900).queueMs).toBeLessThan(40);
    expect(book.report(0, false, 10_900).queueMs).toBeLessThan(3);
  });

  it('is less by the time in which nobody was there', () => {
    const book = new LoadBook();
    // A quarter of a second in each: whoever comes finds somebody every fourth time.
    for (let index = 1; index < 20; index += 1) book.answered(200, 250, index * 1_000);
    const { queueMs } = book.report(0, false, 19_500);
    expect(queueMs).toBeGreaterThan(15);
    expect(queueMs).toBeLessThan(60);
  });

  it('begins anew where the clock was set back', () => {
    const book = new LoadBook();
    for (let index = 0; index < 40; index += 1) book.answered(200, 250, 1e6 + index * 250);
    for (let index = 0; index < 40; index += 1) book.answered(0, 10, 1_000 + index * 250);
    expect(book.report(0, false, 11_000).queueMs).toBeLessThan(3);
  });

  it('counts who waits now', () => {
    const book = new LoadBook();
    book.ran(SEGMENT, 'once', 100, 50);
    expect(book.report(4, true, 0).queueMs).toBe(200);
  });

  it('is the middle one of the last runs, at the size it ran at', () => {
    const book = new LoadBook();
    for (const ms of [10, 11, 12, 500, 9]) book.ran(SEGMENT, 'once', 100, ms);
    expect(book.report(0, false, 0).paces).toEqual([{ segment: '0:0-7:once', units: 100, ms: 11 }]);
  });

  it('tells rows of a prompt apart from steps', () => {
    const book = new LoadBook();
    book.ran(SEGMENT, 'step', 1, 5);
    book.ran(SEGMENT, 'step', 64, 80);
    expect(book.report(0, false, 0).paces).toEqual([
      { segment: '0:0-7:step', units: 1, ms: 5 },
      { segment: '0:0-7:step', units: 64, ms: 80 },
    ]);
  });

  it('stays within the bounds that clients hold it to, whatever happens', () => {
    const events = fc.array(
      fc.record({
        ms: fc.oneof(fc.double(), fc.constant(Number.NaN)),
        took: fc.oneof(fc.double(), fc.constant(Number.NaN)),
        at: fc.double({ noNaN: true, noDefaultInfinity: true }),
        to: fc.integer({ min: 1, max: 99 }),
        units: fc.oneof(fc.nat(), fc.double()),
        waiting: fc.nat(1e6),
        isBusy: fc.boolean(),
      }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(events, (all) => {
        const book = new LoadBook();
        for (const { ms, took, at, to, units, waiting, isBusy } of all) {
          book.answered(ms, took, at);
          book.ran({ stage: 0, from: 0, to }, 'once', units, ms);
          const { queueMs, paces } = book.report(waiting, isBusy, at);
          expect(queueMs).toBeGreaterThanOrEqual(0);
          expect(queueMs).toBeLessThanOrEqual(MAX_LOAD_MS);
          expect(paces.length).toBeLessThanOrEqual(MAX_LOAD_PACES);
        }
      }),
    );
  });
});
