/**
 * The first words of a first visit over a slow link: Isthmus beside wllama, which fetches the GGUF first, and
 * transformers.js, which fetches its q8 form of the same weights. All of them with the same prompt, from navigation
 * on, each in a browser that has nothing yet; nobody else uses the link.
 */
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { median } from '../report/statistics.mjs';
import { bytes, ms, ratio, table } from '../report/table.mjs';
import { launchChromium } from '../setup/chromium.mjs';
import { buildColdPage } from '../setup/cold-page.mjs';
import { startEndpoint } from '../setup/endpoint.mjs';
import { FIRST_VISIT_LINK as LINK, portOf, startRelay } from '../setup/relay.mjs';
import { CONTENDERS } from './text-contenders.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));

const PROMPT_TOKENS = 64;
const NEW_TOKENS = 2;
const RIVALS = ['wllama', 'transformers'];
const SETTINGS = { threads: 1, context: 1024 };

/** One visit at most. */
const LIMIT_MS = 300_000;

/** What the issue asks for. */
const MIN_RATIO = 10;

/**
 * @param {import('../setup/text-world.mjs').TextWorld} world
 * @param {{ rounds: number }} options
 */
export async function measureFirst(world, { rounds }) {
  const { log } = world;
  const endpoint = await startEndpoint(root, world.folder, await buildColdPage(root));
  const relay = await startRelay({ ...LINK, target: portOf(world) });
  const loadBefore = loadavg()[0];
  const visits = [];
  try {
    await visitIsthmus(endpoint.url, world);
    for (let round = 0; round < rounds; round += 1) {
      for (const name of ['isthmus', ...RIVALS]) {
        log(`first: ${name}, ${round + 1} of ${rounds}`);
        relay.aim(portOf(name === 'isthmus' ? endpoint : world));
        const base = `http://127.0.0.1:${relay.port}/`;
        const before = relay.bytes();
        const firstToken =
          name === 'isthmus' ? await visitIsthmus(base, world) : await visitRival(base, world, name);
        const traffic = relay.bytes(firstToken.epoch);
        visits.push({ name, ms: firstToken.ms, bytesDown: traffic.down - before.down });
      }
    }
  } finally {
    await relay.close();
    await endpoint.stop();
  }
  const results = summarise(visits);
  return {
    title: `first: ${world.name}, first token of a first visit at ${LINK.downBitsPerSecond / 1e6} Mbit/s and ${LINK.rttMs} ms`,
    text: describe(results, { before: loadBefore, after: loadavg()[0] }),
    results: { link: LINK, promptTokens: PROMPT_TOKENS, rounds, visits, ...results },
  };
}

/** @returns {Promise<{ ms: number, epoch: number }>} when the first words came, from navigation and in epoch ms */
async function visitIsthmus(base, { name, nextPrompt }) {
  return inNewBrowser(async (page) => {
    await page.goto(base);
    await page.waitForFunction(() => globalThis.cold !== undefined);
    const { firstAt, timeOrigin } = await page.evaluate((asked) => cold.words(asked), {
      packageUrl: `packages/${name}/`,
      prompt: nextPrompt(PROMPT_TOKENS).text,
      maxTokens: NEW_TOKENS,
    });
    return { ms: firstAt, epoch: timeOrigin + firstAt };
  });
}

async function visitRival(base, { files, nextPrompt }, name) {
  const { opener, files: own } = CONTENDERS[name];
  return inNewBrowser(async (page) => {
    await page.goto(new URL('text.html', base).href);
    await page.waitForFunction(() => globalThis.textBench !== undefined);
    await page.evaluate(
      ([what, options]) => textBench.open(what, options),
      [opener, { ...files, ...own, ...SETTINGS }],
    );
    const answer = await page.evaluate(
      ([prompt, most]) => textBench.run(prompt, most),
      [nextPrompt(PROMPT_TOKENS), NEW_TOKENS],
    );
    const epoch = answer.startedAt + answer.firstMs;
    return { ms: epoch - (await page.evaluate(() => performance.timeOrigin)), epoch };
  });
}

async function inNewBrowser(visit) {
  const browser = await launchChromium();
  try {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(LIMIT_MS);
    return await visit(page);
  } finally {
    await browser.close();
  }
}

function summarise(visits) {
  const of = (name) => visits.filter((visit) => visit.name === name);
  const ours = median(of('isthmus').map((visit) => visit.ms));
  return Object.fromEntries(
    ['isthmus', ...RIVALS].map((name) => {
      const mine = of(name);
      const firstMs = median(mine.map((visit) => visit.ms));
      const bytesDown = median(mine.map((visit) => visit.bytesDown));
      return [name, { firstMs, bytesDown, ratio: firstMs / ours }];
    }),
  );
}

function describe(results, load) {
  const rows = Object.entries(results).map(([name, { firstMs, bytesDown, ratio: times }]) => [
    CONTENDERS[name].title,
    ms(firstMs),
    bytes(bytesDown),
    ratio(times),
  ]);
  const isMet = RIVALS.every((name) => results[name].ratio >= MIN_RATIO);
  return [
    table(['first visit', 'first token after navigation, ms', 'bytes by then', "times Isthmus's"], rows),
    `every other at least ${MIN_RATIO} times later: ${isMet ? 'yes' : 'no'}`,
    `load: ${load.before.toFixed(2)} before, ${load.after.toFixed(2)} after`,
  ].join('\n');
}
