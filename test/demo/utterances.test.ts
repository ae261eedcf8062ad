import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { decodeWav } from '../../src/tasks/audio/wav.ts';

/** The page fetches them over a phone's link. */
const MAX_BYTES = 60_000;

const folder = fileURLToPath(new URL('../../demo/public/utterances/', import.meta.url));
const listed: { file: string; words: string }[] = JSON.parse(readFileSync(`${folder}index.json`, 'utf8'));

it('lists every file', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.wav'));
  expect(listed.map(({ file }) => file).sort()).toEqual(files.sort());
});

it.each(listed)('$file is short, mono speech at 16 kHz', ({ file, words }) => {
  const bytes = readFileSync(folder + file);
  const { samples, sampleRate } = decodeWav(bytes);
  expect(bytes.length).toBeLessThan(MAX_BYTES);
  expect(sampleRate).toBe(16_000);
  expect(samples.length).toBeGreaterThan(sampleRate);
  expect(samples.some((value) => Math.abs(value) > 0.1)).toBe(true);
  expect(words).toMatch(/^[A-Z].*[.?]$/);
});
