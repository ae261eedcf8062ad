/** All that a suite needs: a browser, an endpoint on loopback, the package, the page and the recordings. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchModel } from '../../demo/model/fetch.mjs';
import { launchChromium } from './chromium.mjs';
import { importPackage, startEndpoint } from './endpoint.mjs';
import { buildPage } from './page.mjs';
import { findRecordings } from './recordings.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * @typedef {object} World
 * @property {import('../../demo/model/fetch.mjs').FetchedModel} model
 * @property {object} manifest
 * @property {import('./recordings.mjs').Recording[]} recordings shortest first
 * @property {string} source where the recordings come from
 * @property {string} packageUrl relative to the page
 * @property {(base?: string) => Promise<import('playwright-core').Page>} openPage in a context of its own: nothing is
 *   cached; `base` is another way to the endpoint
 * @property {string} url of the endpoint
 * @property {(line: string) => void} log
 * @property {() => Promise<void>} close
 */

/** @returns {Promise<World>} */
export async function openWorld(modelName, log) {
  const model = await fetchModel(modelName, { log });
  const folder = await importPackage(root, model, log);
  const { recordings, source } = await findRecordings(root, model.audio.sampleRate);
  log('Building the page');
  const endpoint = await startEndpoint(root, folder, await buildPage(root, model));
  const browser = await launchChromium().catch(async (error) => {
    await endpoint.stop();
    throw error;
  });
  const openPage = async (base = endpoint.url) => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(base);
    await page.waitForFunction(() => globalThis.bench !== undefined);
    for (const { name, samples } of recordings) {
      const bytes = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('base64');
      await page.evaluate(([key, value]) => bench.keep(key, value), [name, bytes]);
    }
    return page;
  };
  return {
    model,
    manifest: JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')),
    recordings,
    source,
    packageUrl: `packages/${model.name}/`,
    openPage,
    url: endpoint.url,
    log,
    close: async () => {
      await browser.close();
      await endpoint.stop();
    },
  };
}
