/**
 * What a page with all blocks of a language model holds of memory. On two threads: Chromium counts WebAssembly
 * memory only where threads share it. Beside its own count stands what the system says of the page's
 * process (private pages), garbage that waits for its collector included. Each count takes up to a minute: the
 * browser asks every thread, and those that help with runs do not answer.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { table } from '../report/table.mjs';
import { launchProfile } from '../setup/chromium.mjs';
import { startEndpoint } from '../setup/endpoint.mjs';
import { buildLinkPage } from '../setup/link-page.mjs';
import { LINK_PROMPTS, secondTurn } from '../setup/link-prompts.mjs';
import { treeOf } from '../setup/processor-time.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const MODEL = 'smollm2-135m-instruct';
const THREADS = 2;
const TOKENS = 24;

/** What the issue asks for. */
const MOST_OF_WEIGHTS = 1.5;

/** @param {{ log: (line: string) => void }} context */
export async function measureMemory({ log }) {
  const folder = join(root, '.cache/packages', MODEL);
  if (!existsSync(join(folder, 'manifest.json'))) {
    throw new Error(`no package of ${MODEL} yet: run "npm start" once, which imports it`);
  }
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  const shards = new Set(manifest.blocks.flatMap((block) => block.shards));
  const weights = [...shards].reduce((sum, shard) => sum + manifest.files[shard].bytes, 0);
  log('memory: building the page');
  const page = await buildLinkPage(root);
  const endpoint = await startEndpoint(root, folder, page);
  // On disk, as a user has it: without, stored weights are in the memory of the page's process.
  const profileFolder = await mkdtemp(join(tmpdir(), 'isthmus-memory-'));
  const browser = await launchProfile(profileFolder);
  try {
    const tab = await browser.newPage();
    await tab.goto(endpoint.url);
    await tab.waitForFunction(() => globalThis.link !== undefined);
    const moments = [];
    const note = async (moment) => {
      const counted = await tab.evaluate(() => link.memory());
      moments.push({ moment, counted, process: largestRenderer() });
      log(`memory: ${moment}: ${mb(counted)} MB`);
    };
    await note('page');
    const ask = (messages) =>
      tab.evaluate((asked) => link.ask(asked), { messages, plan: 'local', maxTokens: TOKENS });
    await tab.evaluate(([url, threads]) => link.open(url, { threads }), [`packages/${MODEL}/`, THREADS]);
    await note('weights stored');
    await ask(LINK_PROMPTS.at(-1).messages);
    await note('all blocks, a short text');
    const { opening } = secondTurn(0, 4);
    await ask(opening);
    await note('after a prompt of 840 tokens');
    await tab.evaluate(() => link.close());
    await note('closed');
    const results = { model: MODEL, threads: THREADS, weights, moments };
    return { title: `memory: ${MODEL}, local, ${THREADS} threads`, text: describe(results), results };
  } finally {
    await browser.close();
    await endpoint.kill();
    await rm(profileFolder, { recursive: true, force: true });
  }
}

/**
 * Bytes that are private to the process of the page: among the browser's it is the renderer that holds most.
 * @returns {number | undefined} undefined off Linux
 */
function largestRenderer() {
  const sizes = treeOf(process.pid).flatMap((pid) => {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('--type=renderer')) return [];
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      return [Number(/^Private_Dirty:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024];
    } catch {
      return [];
    }
  });
  return sizes.length === 0 ? undefined : Math.max(...sizes);
}

const mb = (bytes) => (bytes === undefined ? '-' : (bytes / 1e6).toFixed(0));

function describe({ moments, weights }) {
  const [empty] = moments;
  const share = ({ counted }) => (counted - empty.counted) / weights;
  const most = Math.max(...moments.map(share));
  return [
    table(
      ['moment', 'counted by the browser, MB', 'of the weights', 'private to the process, MB'],
      moments.map((row) => [row.moment, mb(row.counted), share(row).toFixed(2), mb(row.process)]),
    ),
    `weights of all blocks: ${mb(weights)} MB; at most ${MOST_OF_WEIGHTS} of them: ${
      most <= MOST_OF_WEIGHTS ? 'yes' : 'no'
    } (${most.toFixed(2)})`,
  ].join('\n');
}
