#!/usr/bin/env node
/** A report of what `npm run bench -- --suite quick|full --json FILE` measured; measures nothing itself. */
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { resultsOf } from './grid/dimensions.mjs';
import { gridHtml } from './report/grid-html.mjs';
import { gridMarkdown, gridText } from './report/grid-text.mjs';
import { readGrid } from './report/read-grid.mjs';

const HELP = `Reports what a grid run measured: npm run bench:report -- FILE.jsonl [FILE.jsonl ...] [OPTIONS]

  --only WORDS   scenarios that have all of these parts, apart by commas (e.g. "speech,loaded")
  --html FILE    write a page with charts: one file, nothing from elsewhere
  --markdown     print a table for a README instead of one for a terminal
  --title TEXT   of the page (default: The planner beside every forced plan)
  --machine TEXT what it was measured on, for the page
  --help         show this`;

async function report() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      html: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      title: { type: 'string', default: 'The planner beside every forced plan' },
      machine: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return HELP;
  if (positionals.length === 0) throw new Error(`which file? ${HELP}`);
  const texts = await Promise.all(positionals.map((file) => readFile(file, 'utf8')));
  const { results: all, absent } = readGrid(texts.join('\n'));
  const results = resultsOf(all, values.only);
  if (all.length > 0 && results.length === 0)
    throw new Error('no scenario of these files has all of these parts');
  if (values.html !== undefined) await writeFile(values.html, gridHtml(results, { ...values, absent }));
  return values.markdown ? gridMarkdown(results, absent) : gridText(results, absent);
}

try {
  console.log(await report());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
