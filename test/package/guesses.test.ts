import { expect, it } from 'vitest';
import { wantedDrafts } from '../../src/package/guesses.ts';
import { llamaPackage, plainPackage } from '../runtime/loop-package.ts';

const { manifest } = await llamaPackage(64);
const text = { contextLength: 64, specialTokens: {}, addBos: false } as const;
const built = { ...manifest, text: { ...text, exactRows: true as const } };

it('guesses by itself where rows are the same bits in any company, and else as it is told', () => {
  expect(wantedDrafts(built, 'auto')).toBe('auto');
  expect(wantedDrafts({ ...manifest, text }, 'auto')).toBe(0);
  expect(wantedDrafts({ ...manifest, text }, 4)).toBe(4);
  expect(wantedDrafts(built, 0)).toBe(0);
  expect(wantedDrafts(built, 1e6)).toBe(32);
});

it('guesses nothing where state cannot go back', () => {
  const { manifest: shifting } = plainPackage({ shift: true });
  expect(wantedDrafts({ ...shifting, text: { ...text, exactRows: true } }, 'auto')).toBe(0);
  expect(wantedDrafts(shifting, 4)).toBe(0);
});

it.each([-1, 2.5, Number.NaN, Infinity])('%d is no number of guesses', (asked) => {
  expect(() => wantedDrafts(built, asked)).toThrow(expect.objectContaining({ code: 'bad-option' }));
});
