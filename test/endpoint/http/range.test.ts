import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNotModified, parseRange, rangeApplies } from '../../../src/endpoint/http/range.ts';

describe('a byte range', () => {
  it.each([
    ['bytes=0-0', { kind: 'part', start: 0, end: 1 }],
    ['bytes=5-', { kind: 'part', start: 5, end: 10 }],
    ['bytes=5-99', { kind: 'part', start: 5, end: 10 }],
    ['bytes=-3', { kind: 'part', start: 7, end: 10 }],
    ['bytes=-99', { kind: 'part', start: 0, end: 10 }],
    ['bytes=10-', { kind: 'unsatisfiable' }],
    ['bytes=-0', { kind: 'unsatisfiable' }],
    ['bytes=5-4', { kind: 'whole' }],
    ['bytes=-', { kind: 'whole' }],
    ['bytes=0-1,3-4', { kind: 'whole' }],
    ['lines=0-1', { kind: 'whole' }],
    ['', { kind: 'whole' }],
    [undefined, { kind: 'whole' }],
  ])('%s of ten bytes', (header, expected) => {
    expect(parseRange(header, 10)).toEqual(expected);
  });

  it('always lies within the whole', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^bytes=\d{0,25}-\d{0,25}$/), fc.nat(), (header, size) => {
        const range = parseRange(header, size);
        if (range.kind !== 'part') return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeLessThanOrEqual(size);
        expect(range.end).toBeGreaterThan(range.start);
      }),
    );
  });
});

it('a range applies only to the very bytes that were begun', () => {
  expect(rangeApplies(undefined, '"a"')).toBe(true);
  expect(rangeApplies('"a"', '"a"')).toBe(true);
  expect(rangeApplies('"b"', '"a"')).toBe(false);
  expect(rangeApplies('W/"a"', 'W/"a"')).toBe(false);
  expect(rangeApplies('Mon, 23 Nov 2026 00:00:00 GMT', '"a"')).toBe(false);
});

it('a validator matches weakly, in a list, or by a star', () => {
  expect(isNotModified(undefined, '"a"')).toBe(false);
  expect(isNotModified('"a"', '"b"')).toBe(false);
  expect(isNotModified('"x", W/"a"', '"a"')).toBe(true);
  expect(isNotModified('*', '"a"')).toBe(true);
});
