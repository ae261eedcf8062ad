/** All that the text suite needs: a browser, the package on an endpoint, the rivals' files and prompts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchSmollm2 } from '../../demo/model/fetch-smollm2.mjs';
import { isStale } from '../../demo/start/stale.mjs';
import { launchChromium } from './chromium.mjs';
import { startEndpoint } from './endpoint.mjs';
import { buildTextPage, TEXT_FILES } from './text-page.mjs';
import { findProcess } from './text-processor.mjs';
import { BOOK, openPrompts } from './text-prompts.mjs';
import { makeQ8 } from './text-q8.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const TEXT_MODEL = 'smollm2-135m-instruct';

/**
 * @typedef {object} TextWorld
 * @property {string} name of the model
 * @property {string} source where the prompts come from
 * @property {object} files what `TextOpen` of the page wants to know, but for threads and context
 * @property {string} folder of the package
 * @property {string} url where the endpoint serves all of it
 * @property {(length: number) => import('./text-prompts.mjs').Prompt} nextPrompt
 * @property {() => Promise<{ page: import('playwright-core').Page, pid: number }>} openPage in a context and a
 *   process of its own: nothing is shared
 * @property {(line: string) => void} log
 * @property {() => Promise<void>} close
 */

/** @returns {Promise<TextWorld>} */
export async function openTextWorld(log) {
  const gguf = await fetchSmollm2({ log });
  const folder = await importText(gguf, log);
  const { folder: q8 } = await makeQ8(gguf, join(root, '.cache/bench/text/q8', TEXT_MODEL), log);
  log('Building the page');
  const page = await buildTextPage(root, { gguf, q8, name: TEXT_MODEL });
  const endpoint = await startEndpoint(root, folder, page);
  const browser = await launchChromium().catch(async (error) => {
    await endpoint.stop();
    throw error;
  });
  return {
    name: TEXT_MODEL,
    source: BOOK,
    folder,
    url: endpoint.url,
    files: { ...TEXT_FILES, modelName: TEXT_MODEL, packageUrl: `packages/${TEXT_MODEL}/` },
    nextPrompt: await openPrompts(folder),
    openPage: async () => {
      const page = await (await browser.newContext()).newPage();
      await page.goto(new URL('text.html', endpoint.url).href);
      await page.waitForFunction(() => globalThis.textBench !== undefined);
      if (!(await page.evaluate(() => textBench.isolated()))) {
        throw new Error('the page is not cross-origin isolated: threads cannot be compared');
      }
      return { page, pid: await findProcess(browser, page) };
    },
    log,
    close: async () => {
      await browser.close();
      await endpoint.stop();
    },
  };
}

/** Imports the model unless that was done with this very importer. */
export async function importText(gguf, log) {
  const cli = join(root, 'dist/src/cli/main.js');
  if (!existsSync(cli)) throw new Error('the library is not built yet: run "npm run build" first');
  const folder = join(root, '.cache/bench/packages', TEXT_MODEL);
  const sources = ['dist/src/package', 'dist/src/graph'].map((path) => join(root, path));
  if (!(await isStale(join(folder, 'manifest.json'), [gguf, ...sources]))) return folder;
  log(`Importing ${TEXT_MODEL}`);
  const child = spawn(process.execPath, [cli, 'import', gguf, '--name', TEXT_MODEL, '--out', folder], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the import ended with ${code}`);
  return folder;
}
