import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LookupDrafter } from '../../../src/core/draft/draft-lookup.ts';
import { GuessBook, NO_GUESSES } from '../../../src/session/text/guess-book.ts';

/** What the book says of so many guesses, of answers behind prompts. */
function told(texts: readonly { prompt: readonly number[]; answer: readonly number[] }[]) {
  const book = new GuessBook(new LookupDrafter());
  for (const { prompt, answer } of texts) {
    book.begin(prompt.length);
    book.follow([...prompt, ...answer]);
  }
  return book.trips();
}

/** Trips that are really made with so many guesses each: rows and tokens of each that came to its end. */
function made(prompt: readonly number[], answer: readonly number[], drafts: number) {
  const drafter = new LookupDrafter();
  const trips: { rows: number; tokens: number }[] = [];
  // The first token comes with the prompt.
  for (let at = 1; at < answer.length; ) {
    const proposal = drafter.propose([...prompt, ...answer.slice(0, at)], drafts);
    let right = 0;
    while (right < proposal.length && proposal[right] === answer[at + right]) right += 1;
    if (at + right >= answer.length) break;
    trips.push({ rows: proposal.length, tokens: right + 1 });
    at += right + 1;
  }
  return trips;
}

const token = fc.integer({ min: 0, max: 3 });
const texts = fc.record({
  prompt: fc.array(token, { minLength: 1, maxLength: 40 }),
  answer: fc.array(token, { minLength: 1, maxLength: 60 }),
});

describe('what guesses would have brought', () => {
  it('is what trips with as many bring', () => {
    fc.assert(
      fc.property(texts, ({ prompt, answer }) => {
        for (const { drafts, rows, tokens, sureTokens } of told([{ prompt, answer }]).slice(1)) {
          const weigh = (of: (trip: { rows: number; tokens: number }) => number): number =>
            made(prompt, answer, drafts).reduce((sum, trip) => sum * 0.98 + of(trip), 0);
          // Beside twelve trips without a guess; six tenths of what they win are counted on at a cut.
          const all = 12 + weigh(() => 1);
          expect(tokens).toBeCloseTo((12 + weigh((trip) => trip.tokens)) / all, 9);
          expect(sureTokens).toBeCloseTo(1 + 0.6 * (tokens - 1), 9);
          expect(rows).toBeCloseTo(weigh((trip) => trip.rows) / all, 9);
        }
      }),
    );
  });

  it('is the same whether an answer is followed at once or as it grows', () => {
    fc.assert(
      fc.property(texts, fc.nat(60), ({ prompt, answer }, cut) => {
        const book = new GuessBook(new LookupDrafter());
        book.begin(prompt.length);
        book.follow([...prompt, ...answer.slice(0, cut)]);
        book.follow([...prompt, ...answer]);
        book.follow([...prompt, ...answer]);
        expect(book.trips()).toEqual(told([{ prompt, answer }]));
      }),
    );
  });

  it('is much in a text that repeats, and nothing in one that never does', () => {
    const verse = Array.from({ length: 30 }, (_, index) => 100 + index);
    const repeats = told([{ prompt: verse, answer: [...verse, ...verse, ...verse, ...verse] }]);
    const most = Math.max(...repeats.map(({ tokens }) => tokens));
    expect(most).toBeGreaterThan(2);
    const fresh = told([{ prompt: verse, answer: Array.from({ length: 99 }, (_, index) => 1_000 + index) }]);
    for (const { rows, tokens } of fresh) expect({ rows, tokens }).toEqual({ rows: 0, tokens: 1 });
  });

  it('counts on the poorer of the latest answers when one begins', () => {
    const verse = Array.from({ length: 30 }, (_, index) => 100 + index);
    const easy = { prompt: verse, answer: [...verse, ...verse, ...verse, ...verse] };
    const hard = { prompt: verse, answer: Array.from({ length: 99 }, (_, index) => 1_000 + index) };
    const next = { prompt: [1, 2], answer: [] };
    const after = (...texts: (typeof easy)[]) =>
      Math.max(...told([...texts, next]).map(({ tokens }) => tokens));
    expect(after(easy, easy, easy)).toBeGreaterThan(2);
    expect(after(easy, hard, easy)).toBe(1);
    expect(after(hard, easy, easy, easy, easy)).toBeGreaterThan(2);
  });

  it('begins with nothing guessed, and of a fixed number tells that one', () => {
    const book = new GuessBook(new LookupDrafter());
    expect(book.trips()[0]).toEqual(NO_GUESSES);
    expect(book.trips().every(({ rows, tokens }) => rows === 0 && tokens === 1)).toBe(true);
    expect(book.trips(0)).toEqual([NO_GUESSES]);
    expect(book.trips(4).map(({ drafts }) => drafts)).toEqual([4]);
    expect(book.trips(5).map(({ drafts }) => drafts)).toEqual([4]);
    expect(book.trips(99).map(({ drafts }) => drafts)).toEqual([32]);
  });
});
