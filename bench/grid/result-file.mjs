/** Lines of JSON of a run, one for each scenario: what a run that was broken off left is not measured again. */
import { existsSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { keyOf } from './dimensions.mjs';

/** @param {string | undefined} path without one, nothing is kept */
export async function openResults(path) {
  const done = new Map();
  if (path !== undefined && existsSync(path)) {
    const text = await readFile(path, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    // The last line of a run that was killed may be half of one.
    if (whole !== text) await writeFile(path, whole);
    for (const line of whole.split('\n').filter((one) => one !== '')) {
      const result = JSON.parse(line);
      if (result.scenario !== undefined) done.set(keyOf(result.scenario), result);
    }
  }
  const append = async (line) => {
    if (path !== undefined) await appendFile(path, `${JSON.stringify(line)}\n`);
  };
  return {
    has: (scenario) => done.has(keyOf(scenario)),
    add: async (result) => {
      done.set(keyOf(result.scenario), result);
      await append(result);
    },
    /** That something could not be measured here, and why. */
    note: (absent) => append({ absent }),
    all: () => [...done.values()],
  };
}
