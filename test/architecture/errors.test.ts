import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/errors.ts';
import { REPOSITORY } from './sources.ts';

/** Codes in the first column of the README's table whose header's first cell is "Code". */
function tabledCodes(markdown: string): string[] {
  const lines = markdown.split('\n');
  const header = lines.findIndex((line) => /^\|\s*code\s*\|/i.test(line));
  if (header < 0) return [];
  const rows = lines.slice(header + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows
    .slice(0, end < 0 ? undefined : end)
    .map((line) => /^\|\s*`([a-z-]+)`\s*\|/.exec(line)?.[1] ?? `unreadable row: ${line}`);
}

it('reads a table of codes', () => {
  const table = '# A\n\n| Code | Meaning |\n|---|---|\n| `closed` | a |\n| `no-plan` | b |\n\n| other |\n';
  expect(tabledCodes(table)).toEqual(['closed', 'no-plan']);
});

it('README lists exactly the codes of src/errors.ts', () => {
  const readme = readFileSync(join(REPOSITORY, 'README.md'), 'utf8');
  expect(tabledCodes(readme).sort()).toEqual(Object.keys(ERROR_CODES).sort());
});

it('every code says what it means in a sentence', () => {
  for (const meaning of Object.values(ERROR_CODES)) expect(meaning).toMatch(/^[A-Z].{15,}\.$/);
});
