/** Look-up drafts beside a search through the whole text, growing, rewound and rewritten. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LookupDrafter } from '../../../src/core/draft/draft-lookup.ts';

/** The definition: the latest place with the longest agreement, and what followed it. */
function searched(text: readonly number[], most: number, shortest: number, longest: number): number[] {
  for (let length = Math.min(longest, text.length - 1); length >= shortest; length -= 1) {
    const suffix = text.slice(-length);
    for (let end = text.length - 1; end >= length; end -= 1) {
      if (!suffix.every((token, at) => text[end - length + at] === token)) continue;
      const proposal: number[] = [];
      const whole = (): number[] => [...text, ...proposal];
      while (proposal.length < most) proposal.push(whole()[end + proposal.length] ?? -1);
      return proposal;
    }
  }
  return [];
}

const texts = fc.array(fc.nat(3), { maxLength: 60 });

describe('look-up drafts', () => {
  it('are what a search of the whole text finds, however the text grows and is cut back', () => {
    const edits = fc.array(fc.record({ keep: fc.double({ min: 0, max: 1, noNaN: true }), add: texts }), {
      minLength: 1,
      maxLength: 8,
    });
    const bounds = fc.record({
      shortest: fc.integer({ min: 1, max: 3 }),
      longest: fc.integer({ min: 3, max: 6 }),
    });
    fc.assert(
      fc.property(edits, bounds, fc.integer({ min: 1, max: 9 }), (steps, { shortest, longest }, most) => {
        const drafter = new LookupDrafter({ shortest, longest });
        let text: number[] = [];
        for (const { keep, add } of steps) {
          text = [...text.slice(0, Math.round(keep * text.length)), ...add].slice(0, 200);
          expect(drafter.propose(text, most)).toEqual(searched(text, most, shortest, longest));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('follow the latest of equally long agreements, and the longest of all', () => {
    const drafter = new LookupDrafter();
    expect(drafter.propose([1, 2, 7, 1, 2, 8, 1, 2], 2)).toEqual([8, 1]);
    expect(drafter.propose([5, 1, 2, 7, 6, 1, 2, 8, 5, 1, 2], 1)).toEqual([7]);
  });

  it('go on in themselves where the text repeats up to its end', () => {
    expect(new LookupDrafter().propose([9, 4, 5, 4, 5, 4, 5], 5)).toEqual([4, 5, 4, 5, 4]);
  });

  it('are empty without a match, without room and without a text', () => {
    const drafter = new LookupDrafter();
    expect(drafter.propose([], 4)).toEqual([]);
    expect(drafter.propose([1], 4)).toEqual([]);
    expect(drafter.propose([1, 2, 3, 4], 4)).toEqual([]);
    expect(drafter.propose([1, 2, 1, 2], 0)).toEqual([]);
    expect(drafter.propose([1, 2, 1, 2], 1)).toEqual([1]);
  });

  it('are found in a text of one token a hundred thousand times over', () => {
    const drafter = new LookupDrafter();
    const text = new Array<number>(100_000).fill(3);
    expect(drafter.propose(text, 3)).toEqual([3, 3, 3]);
    expect(drafter.propose(text.slice(0, 10), 2)).toEqual([3, 3]);
  });
});
