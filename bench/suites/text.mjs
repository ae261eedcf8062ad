/**
 * Text on the device: Isthmus under `local`, wllama on the GGUF that the package was made from, and
 * transformers.js on a q8 export of the same weights. Each lives in a page of its own; they take turns
 * on the same prompts, in another order in every round.
 */
import { watchProcess } from '../setup/text-processor.mjs';
import { CONTENDERS, NAMES } from './text-contenders.mjs';
import { describeText } from './text-report.mjs';

const THREADS = [1, 2];
const CONTEXTS = [128, 1024];

/** Each sample decodes so many; the first one ends the prefill and is counted there. */
const NEW_TOKENS = 33;

/**
 * The browser compiles what runs often a second time, beside the run: the first 32 steps of any contender
 * on two threads took twice as long as the next 32. Four were too few to leave that behind.
 */
const WARM_UP_TOKENS = 40;

/** Positions that every contender gets room for. */
const ROOM = 2048;

/** @param {import('../setup/text-world.mjs').TextWorld} world */
export async function measureText(world, { rounds }) {
  const speeds = [];
  const memory = [];
  for (const threads of THREADS) {
    const pages = await openAll(world, threads);
    try {
      await warmUp(world, pages);
      for (const context of CONTEXTS) {
        speeds.push(await measureOne(world, pages, { threads, context, rounds }));
      }
      memory.push({ threads, bytes: await memoryOf(pages) });
    } finally {
      // A browser that died has said so above.
      await Promise.allSettled(Object.values(pages).map(({ page }) => page.context().close()));
    }
  }
  return {
    title: `text: Chromium on WASM, medians of ${rounds} rounds, ${NEW_TOKENS - 1} tokens decoded in each`,
    text: describeText(speeds, memory),
    results: { speeds, memory },
  };
}

async function openAll({ openPage, files, log }, threads) {
  const pages = {};
  for (const name of NAMES) {
    const { title, opener, files: own } = CONTENDERS[name];
    log(`text, ${threads} thread(s): opening ${title}`);
    const opened = await openPage();
    await opened.page.evaluate(
      ([who, options]) => textBench.open(who, options),
      [opener, { ...files, ...own, threads, context: ROOM }],
    );
    pages[name] = opened;
  }
  return pages;
}

/** Sessions allocate and the engine compiles in their first runs; those are not counted. */
async function warmUp({ nextPrompt }, pages) {
  const prompt = nextPrompt(CONTEXTS[0]);
  for (const opened of Object.values(pages)) await runIn(opened, prompt, WARM_UP_TOKENS);
}

async function measureOne({ nextPrompt, log }, pages, { threads, context, rounds }) {
  const taken = Object.fromEntries(NAMES.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    const prompt = nextPrompt(context);
    const first = round % NAMES.length;
    for (const name of [...NAMES.slice(first), ...NAMES.slice(0, first)]) {
      const sample = await runIn(pages[name], prompt, NEW_TOKENS);
      taken[name].push(sample);
      const { prefill, decode } = sample.wall;
      log(
        `text, ${threads} thread(s), ${context} tokens, round ${round + 1}: ${CONTENDERS[name].title} ` +
          `${prefill.toFixed(1)} prefill, ${decode.toFixed(1)} decode`,
      );
    }
  }
  return { threads, context, taken };
}

/** @returns {Promise<object>} the answer with speeds in tokens/s: `wall`, and `processor` where it is known */
async function runIn({ page, pid }, prompt, count) {
  const watch = watchProcess(pid);
  const answer = await page
    .evaluate(([given, most]) => textBench.run(given, most), [prompt, count])
    .finally(watch.stop);
  const { startedAt, firstMs, totalMs, newTokens } = answer;
  const speeds = (prefillMs, decodeMs) => ({
    prefill: (1000 * prompt.tokens.length) / prefillMs,
    decode: (1000 * (newTokens - 1)) / decodeMs,
  });
  const [firstAt, lastAt] = [startedAt + firstMs, startedAt + totalMs];
  const [prefillMs, decodeMs] = [watch.between(startedAt, firstAt), watch.between(firstAt, lastAt)];
  const wall = speeds(firstMs, totalMs - firstMs);
  // A process that took no time is not the one that answered: no figure is better than that one's.
  if (!(prefillMs > 0 && decodeMs > 0)) return { ...answer, wall };
  return { ...answer, wall, processor: speeds(prefillMs, decodeMs) };
}

async function memoryOf(pages) {
  const bytes = {};
  for (const [name, { page }] of Object.entries(pages)) {
    bytes[name] = await page.evaluate(() => textBench.memory());
  }
  return bytes;
}
