/** Split = whole in real Chromium: every cut on the worker's WASM runner against the unsplit model there. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPackage } from '../../src/package/node/open-package.ts';
import { VERIFY_TOLERANCE } from '../../src/package/verify.ts';
import { audioInput } from '../../src/package/verify-inputs.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { decodeWav } from '../../src/tasks/audio/wav.ts';
import type { ModelName } from '../fixtures/models.ts';
import { importedPackage } from '../fixtures/packages.ts';
import { findRecording } from '../fixtures/recordings.ts';
import { findChromium, launchChromium } from './chromium.ts';
import { type EndpointProcess, startEndpoint } from './endpoint-process.ts';
import { wholeScores } from './whole-scores.ts';

const root = new URL('../../', import.meta.url).pathname;
const chromium = await findChromium();

/** Three words where the recordings are installed, else an utterance that the repository ships. */
async function speech(): Promise<Float32Array> {
  const recording = findRecording('cards-003');
  if (recording.missing === undefined) return recording.samples();
  return decodeWav(await readFile(join(root, 'demo/public/utterances/time.wav'))).samples;
}

async function buildVerifyPage(): Promise<string> {
  const outDir = join(root, '.cache/verify-page');
  await build({
    configFile: join(root, 'vite.config.ts'),
    root: join(root, 'test/browser/verify-page'),
    publicDir: false,
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true },
  });
  return outDir;
}

describe.skipIf(chromium === undefined)('verification in Chromium', () => {
  const folders = new Map<ModelName, string>();
  let browser: Browser;
  let endpoint: EndpointProcess;
  let page: Page;
  let samples: Float32Array;
  let base64: string;

  beforeAll(async () => {
    for (const name of ['moonshine-tiny-q8', 'moonshine-tiny-fp32'] as const) {
      folders.set(name, await importedPackage(name));
    }
    endpoint = await startEndpoint([...folders.values()], { staticDir: await buildVerifyPage() });
    samples = await speech();
    base64 = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('base64');
    browser = await launchChromium();
    page = await browser.newPage();
    await page.goto(endpoint.url);
    await page.waitForFunction(() => globalThis.verifyApi !== undefined);
  });

  afterAll(async () => {
    await browser?.close();
    await endpoint?.stop();
  });

  // Building two sessions per cut is what takes time: the first row checks every cut, the others every
  // so many.
  it.each([
    ['moonshine-tiny-q8', 1, 1],
    ['moonshine-tiny-q8', 2, 5],
    ['moonshine-tiny-fp32', 1, 3],
  ] as const)('%s on %i thread(s), one cut in %i: equals the whole model', async (name, threads, stride) => {
    const { manifest } = await openPackage(folders.get(name) ?? '');
    const cuts = manifest.cuts.map(({ cut }) => cut).filter((cut) => cut % stride === 0);
    const made = await page.evaluate(
      ([url, audio, count, chosen]) => verifyApi.verify(url, audio, count, chosen),
      [`packages/${name}/`, base64, threads, cuts] as const,
    );
    expect(made).toMatchObject({ provider: 'wasm', threads });
    const { verdict } = made;
    const worst = Math.max(...verdict.cuts.map(({ maxAbsDiff }) => maxAbsDiff));
    console.log(
      `${name}, WASM, ${threads} thread(s): ${verdict.cuts.length} cuts, largest difference ${worst}, ` +
        `tolerance ${VERIFY_TOLERANCE}`,
    );
    expect(cuts.length).toBeGreaterThan(2);
    expect(verdict.cuts.map(({ cut }) => cut)).toEqual(cuts);
    expect(verdict.cuts.filter(({ tokensEqual }) => !tokensEqual)).toEqual([]);
    expect(worst).toBeLessThanOrEqual(VERIFY_TOLERANCE);
    expect(verdict.ok).toBe(true);
  });

  it.each(['moonshine-tiny-q8', 'moonshine-tiny-fp32'] as const)(
    '%s: the browser says the same tokens as Node',
    async (name) => {
      const { manifest, source } = await openPackage(folders.get(name) ?? '');
      const there = await page.evaluate(([url, audio]) => verifyApi.scores(url, audio, 1), [
        `packages/${name}/`,
        base64,
      ] as const);
      const bytes = Uint8Array.from(Buffer.from(there.base64, 'base64'));
      const scores = new Float32Array(bytes.buffer);
      const runner = createNodeRunner(manifest, source);
      const here = await wholeScores(
        manifest,
        runner,
        audioInput(manifest, 'recording', samples),
        there.tokens,
      );
      await runner.close();
      expect(there.tokens.length).toBeGreaterThan(1);
      expect(scores).toHaveLength(here.scores.length);
      let largest = 0;
      let range = 0;
      here.scores.forEach((score, index) => {
        largest = Math.max(largest, Math.abs(score - (scores[index] ?? Number.NaN)));
        range = Math.max(range, Math.abs(score));
      });
      console.log(
        `${name}: WASM and native differ by at most ${largest.toExponential(2)} in scores up to ` +
          `${range.toFixed(1)}, over ${there.tokens.length} steps`,
      );
      // Different kernels: scores may differ a little, which token is the best must not.
      expect(there.tokens).toEqual(here.tokens);
    },
  );
});
