import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoadBook } from '../../src/endpoint/load-book.ts';
import { MAX_LOAD_MS, MAX_LOAD_PACES } from '../../src/protocol/limits.ts';

const SEGMENT = { stage: 0, from: 0, to: 7 };

/** Turns of 10 ms of work, answers of five of them. */
const TURN_MS = 10;
const TURNS = 5;

interface Played {
  readonly book: LoadBook;
  readonly askers: readonly object[];
  readonly now: number;
  /** What the latest answer of each waited in all. */
  readonly waitedMs: readonly number[];
}

/** So many clients ask again and again, `pauseMs` after each answer, for so long; turns go round. */
function play(clients: number, { pauseMs = 0, forMs = 5_000, from = 1_000 } = {}): Played {
  const book = new LoadBook();
  const askers = Array.from({ length: clients }, () => ({}));
  const each = askers.map((_, index) => ({
    comesAt: from + index * 7,
    left: TURNS,
    waited: 0,
    waitedMs: 0,
  }));
  let now = from;
  while (now < from + forMs) {
    const next = each.reduce((a, b) => (b.comesAt < a.comesAt ? b : a));
    const began = Math.max(now, next.comesAt);
    const asker = askers[each.indexOf(next)];
    if (asker === undefined) throw new Error('nobody is here');
    const leave = book.enter(asker, next.comesAt);
    now = began + TURN_MS;
    book.ran(SEGMENT, 'step', 1, TURN_MS);
    leave(now);
    next.waited += began - next.comesAt;
    next.left -= 1;
    next.comesAt = now;
    if (next.left > 0) continue;
    book.answered(TURNS * TURN_MS);
    Object.assign(next, { left: TURNS, waitedMs: next.waited, waited: 0, comesAt: now + pauseMs });
  }
  return { book, askers, now, waitedMs: each.map(({ waitedMs }) => waitedMs) };
}

describe('what an endpoint tells of its load', () => {
  it('is nothing where nobody was', () => {
    expect(new LoadBook().report(0)).toEqual({ queueMs: 0, others: 0, paces: [] });
  });

  it('is to a newcomer what an answer waits that comes to those who are here', () => {
    for (const clients of [1, 2, 4]) {
      const { book, now } = play(clients);
      const [waits] = play(clients + 1).waitedMs;
      const { queueMs } = book.report(now);
      expect(queueMs / (waits ?? 0)).toBeGreaterThan(0.85);
      expect(queueMs / (waits ?? 0)).toBeLessThan(1.15);
      expect(book.report(now).others).toBeCloseTo(clients, 1);
    }
  });

  it('leaves out, for one of those who are here, what it does itself', () => {
    const { book, askers, now, waitedMs } = play(3);
    const { queueMs } = book.report(now, askers[1]);
    expect(queueMs / (waitedMs[1] ?? 0)).toBeGreaterThan(0.85);
    expect(queueMs / (waitedMs[1] ?? 0)).toBeLessThan(1.15);
    const alone = play(1);
    expect(alone.book.report(alone.now, alone.askers[0]).queueMs).toBe(0);
  });

  it('is less by the time in which nobody is here, and soon nothing when all have left', () => {
    // A fourth of the time: whoever comes finds somebody every fourth time.
    const { book, now } = play(1, { pauseMs: 150 });
    const { queueMs } = book.report(now);
    expect(queueMs).toBeGreaterThan(7);
    expect(queueMs).toBeLessThan(20);
    expect(book.report(now + 2_000).queueMs).toBeLessThan(5);
    expect(book.report(now + 20_000).queueMs).toBeLessThan(0.1);
  });

  it('is known of the little that was seen, and not less for what was before', () => {
    const { book, now } = play(2, { forMs: 200 });
    const [waits] = play(3).waitedMs;
    expect(book.report(now).queueMs / (waits ?? 0)).toBeGreaterThan(0.6);
  });

  it('goes on where the clock was set back, and forgets by the new one', () => {
    const { book, now, askers } = play(2, { from: 1e6 });
    book.enter(askers[0] ?? {}, now - 9e5 - TURN_MS)(now - 9e5);
    expect(book.report(now - 9e5).queueMs).toBeGreaterThan(50);
    expect(book.report(now - 8.9e5).queueMs).toBeLessThan(1);
  });

  it('is the same in the midst of a long turn as between two', () => {
    const book = new LoadBook();
    const asker = {};
    book.enter(asker, 0)(3_000);
    book.answered(3_000);
    const leave = book.enter(asker, 3_000);
    for (const at of [3_000, 3_700, 5_900]) expect(book.report(at).queueMs).toBeCloseTo(3_000);
    expect(book.report(5_900, asker).queueMs).toBe(0);
    leave(6_000);
    expect(book.report(6_000).queueMs).toBeCloseTo(3_000);
  });

  it('is a turn of each at least where many came just now', () => {
    const book = new LoadBook();
    book.ran(SEGMENT, 'once', 100, 50);
    for (let index = 0; index < 4; index += 1) book.enter({}, 0);
    expect(book.report(0).queueMs).toBe(200);
  });

  it('takes no answer that was broken off before its first turn for one that takes no time', () => {
    const { book, now } = play(2);
    const before = book.report(now).queueMs;
    for (let index = 0; index < 5; index += 1) book.answered(0);
    expect(book.report(now).queueMs).toBe(before);
  });

  it('is the middle one of the last runs, at the size it ran at', () => {
    const book = new LoadBook();
    for (const ms of [10, 11, 12, 500, 9]) book.ran(SEGMENT, 'once', 100, ms);
    expect(book.report(0).paces).toEqual([{ segment: '0:0-7:once', units: 100, ms: 11 }]);
  });

  it('tells rows of a prompt apart from steps', () => {
    const book = new LoadBook();
    book.ran(SEGMENT, 'step', 1, 5);
    book.ran(SEGMENT, 'step', 64, 80);
    expect(book.report(0).paces).toEqual([
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
        isLeaving: fc.boolean(),
      }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(events, (all) => {
        const book = new LoadBook();
        for (const { ms, took, at, to, units, isLeaving } of all) {
          const leave = book.enter(at > 0 ? book : SEGMENT, at);
          if (isLeaving) leave(at + ms);
          book.answered(took);
          book.ran({ stage: 0, from: 0, to }, 'once', units, ms);
          const { queueMs, paces } = book.report(at, at > 9 ? book : undefined);
          expect(queueMs).toBeGreaterThanOrEqual(0);
          expect(queueMs).toBeLessThanOrEqual(MAX_LOAD_MS);
          expect(paces.length).toBeLessThanOrEqual(MAX_LOAD_PACES);
        }
      }),
    );
  });
});
