/** Draft lengths in simulated texts of known acceptance, beside the best fixed length and beside none. */
import { describe, expect, it } from 'vitest';
import { bestDraftLength, expectedTokens, type TripCost } from '../../../src/core/draft/draft-cost.ts';
import { DraftLength, MAX_DRAFTS } from '../../../src/core/draft/draft-length.ts';
import { uniform } from '../../../src/runtime/sample-draw.ts';

/** Of one trip, in ms. */
interface TripTimes {
  readonly roundTripMs: number;
  /** For each row that passes, in the device's span and in the endpoint's. */
  readonly hereRowMs: number;
  readonly thereRowMs: number;
  /** At both ends together, however few rows there are. */
  readonly passMs?: number;
}

const costOf =
  ({ roundTripMs, hereRowMs, thereRowMs, passMs = 0 }: TripTimes): TripCost =>
  (drafts) =>
    roundTripMs + passMs + (1 + drafts) * (hereRowMs + thereRowMs);
const tripMs = (times: TripTimes, drafts: number): number => costOf(times)(drafts);

const ROWS: readonly Omit<TripTimes, 'roundTripMs'>[] = [
  { hereRowMs: 1, thereRowMs: 1, passMs: 12 },
  { hereRowMs: 5, thereRowMs: 5 },
  { hereRowMs: 20, thereRowMs: 10 },
];
const ROUND_TRIPS = [2, 10, 40, 80, 200];
const LINKS = ROWS.flatMap((rows) => ROUND_TRIPS.map((roundTripMs) => ({ ...rows, roundTripMs })));
const TOKENS = 1_500;

interface Run {
  readonly ms: number;
  readonly tokens: number;
  readonly lengths: readonly number[];
}

/** A text whose proposals are right with the chance `rate` at the given token, each on its own. */
function simulate(times: TripTimes, rate: (token: number) => number, tokens: number, seed = 1): Run {
  const controller = new DraftLength();
  const lengths: number[] = [];
  let ms = 0;
  let made = 0;
  let draws = 0;
  while (made < tokens) {
    const drafts = controller.next(costOf(times));
    let accepted = 0;
    while (accepted < drafts && uniform(seed, draws++) < rate(made)) accepted += 1;
    controller.observe(costOf(times), drafts, accepted);
    lengths.push(drafts);
    ms += tripMs(times, drafts);
    made += accepted + 1;
  }
  return { ms, tokens: made, lengths };
}

/** ms per token of the best length that is kept throughout. */
function bestFixed(times: TripTimes, rate: number): number {
  const chances = new Array<number>(MAX_DRAFTS).fill(rate);
  const all = [...chances, 0].map((_, drafts) => tripMs(times, drafts) / expectedTokens(chances, drafts));
  return Math.min(...all);
}

describe('a steady text', () => {
  it.each([0, 0.3, 0.7, 0.95])('acceptance %d: within a twentieth of the best fixed length', (rate) => {
    for (const times of LINKS) {
      const { ms, tokens } = simulate(times, () => rate, TOKENS);
      expect({ times, ratio: ms / tokens / bestFixed(times, rate) }).toSatisfy(
        (run: { ratio: number }) => run.ratio <= 1.05,
      );
    }
  });

  it('costs at most 5% where every draft is wrong, from the first tokens on', () => {
    for (const times of LINKS) {
      for (const tokens of [48, 64, 200, 1_000]) {
        const run = simulate(times, () => 0, tokens);
        expect(run.ms / (run.tokens * tripMs(times, 0))).toBeLessThanOrEqual(1.05);
      }
    }
  });

  it('is not slower than no drafts by more than 5% at any acceptance, in many short texts', () => {
    for (const times of LINKS) {
      for (const rate of [0.05, 0.15, 0.5]) {
        for (let seed = 0; seed < 10; seed += 1) {
          const run = simulate(times, () => rate, 64, seed);
          expect(run.ms / (run.tokens * tripMs(times, 0))).toBeLessThanOrEqual(1.05);
        }
      }
    }
  });

  it('proposes next to nothing at acceptance 0, and still tries now and then', () => {
    const { lengths } = simulate({ roundTripMs: 40, hereRowMs: 5, thereRowMs: 5 }, () => 0, TOKENS);
    const late = lengths.slice(300);
    const tried = late.filter((drafts) => drafts > 0).length;
    expect(tried).toBeGreaterThan(late.length / 40);
    expect(tried).toBeLessThan(late.length / 8);
    expect(Math.max(...late)).toBe(1);
  });
});

describe('a text that changes', () => {
  const times = { roundTripMs: 60, hereRowMs: 3, thereRowMs: 2 };

  it('drafts again when the text becomes easy to guess, within 100 tokens', () => {
    const hard = simulate(times, () => 0, 400);
    const easyFrom = hard.tokens;
    const run = simulate(times, (token) => (token < easyFrom ? 0 : 0.9), easyFrom + 100);
    expect(run.lengths.at(-1)).toBeGreaterThanOrEqual(4);
    expect(run.ms - hard.ms).toBeLessThan(100 * tripMs(times, 0) * 0.75);
  });

  it('stops when it becomes hard, and loses only what it had saved', () => {
    const easy = simulate(times, () => 0.9, 400);
    const run = simulate(times, (token) => (token < easy.tokens ? 0.9 : 0), easy.tokens + 300);
    const after = (run.ms - easy.ms) / ((run.tokens - easy.tokens) * tripMs(times, 0));
    expect(after).toBeLessThan(1.06);
    expect(run.lengths.slice(-5).reduce((sum, drafts) => sum + drafts, 0)).toBeLessThanOrEqual(2);
  });
});

describe('the arithmetic', () => {
  it('counts the tokens of a trip as the chance that each place is reached', () => {
    expect(expectedTokens([0.5, 0.5, 0.25], 0)).toBe(1);
    expect(expectedTokens([0.5, 0.5, 0.25], 3)).toBe(1 + 0.5 + 0.25 + 0.0625);
  });

  it('finds lengths that can be checked by hand', () => {
    const far = { roundTripMs: 100, hereRowMs: 0, thereRowMs: 0 };
    expect(bestDraftLength(costOf(far), [0.5, 0.5, 0.5])).toBe(3);
    expect(bestDraftLength(costOf(far), [0, 0, 0])).toBe(0);
    const near = { roundTripMs: 0, hereRowMs: 5, thereRowMs: 5 };
    expect(bestDraftLength(costOf(near), [0.99, 0.99])).toBe(0);
    // 1 draft: 110 ms for 1.5 tokens; 2: 120 for 1.6; none: 100 for 1.
    expect(bestDraftLength(costOf({ roundTripMs: 90, hereRowMs: 5, thereRowMs: 5 }), [0.5, 0.2])).toBe(1);
  });

  it('keeps to the bound it is given, and proposes freely where rows cost nothing', () => {
    const free = { roundTripMs: 50, hereRowMs: 0, thereRowMs: 0 };
    expect(new DraftLength(3).next(costOf(free))).toBe(3);
    expect(new DraftLength(0).next(costOf(free))).toBe(0);
    expect(new DraftLength(1_000).next(costOf(free))).toBe(MAX_DRAFTS);
  });

  it('learns from trips with fewer proposals than were asked for', () => {
    const controller = new DraftLength();
    const times = { roundTripMs: 80, hereRowMs: 4, thereRowMs: 2 };
    const first = controller.next(costOf(times));
    for (let trip = 0; trip < 30; trip += 1)
      controller.observe(costOf(times), Math.min(2, controller.next(costOf(times))), 2);
    expect(controller.next(costOf(times))).toBeGreaterThan(first);
  });
});
