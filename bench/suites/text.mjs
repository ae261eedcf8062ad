/**
 * Text on the device: Isthmus under `local`, wllama on the GGUF that the package was made from, and
 * transformers.js on a q8 export of the same weights. Each lives in a page of its own; they take turns
 * on the same prompts, in another order in every round.
 */
import { median } from '../report/statistics.mjs';
import { table } from '../report/table.mjs';

/** What the project promises of decoding: at least this many times wllama's and transformers.js's tokens/s. */
const TARGETS = { wllama: 3, transformers: 1 };

const PLAIN_ORT = {
  ortMjsUrl: 'rivals/ort/ort-wasm-simd-threaded.mjs',
  ortWasmUrl: 'rivals/ort/ort-wasm-simd-threaded.wasm',
};

/** `plain` is transformers.js with the runtime's build that knows no WebGPU, set by hand. */
const CONTENDERS = {
  isthmus: { opener: 'isthmus' },
  wllama: { opener: 'wllama' },
  transformers: { opener: 'transformers' },
  plain: { opener: 'transformers', files: PLAIN_ORT },
};

const TITLES = {
  isthmus: 'Isthmus',
  wllama: 'wllama',
  transformers: 'transformers.js',
  plain: 'transformers.js, plain WASM',
};

const THREADS = [1, 2];
const CONTEXTS = [128, 1024];

/** Each sample decodes so many; the first one ends the prefill and is counted there. */
const NEW_TOKENS = 33;
const WARM_UP_TOKENS = 4;

/** Positions that every contender gets room for. */
const ROOM = 2048;

/** @param {import('../setup/text-world.mjs').TextWorld} world */
export async function measureText(world, { rounds }) {
  const results = [];
  const memory = [];
  for (const threads of THREADS) {
    const pages = await openAll(world, threads);
    try {
      await warmUp(world, pages);
      for (const context of CONTEXTS)
        results.push(await measureOne(world, pages, { threads, context, rounds }));
      memory.push({ threads, bytes: await memoryOf(pages) });
    } finally {
      await Promise.all(Object.values(pages).map((page) => page.context().close()));
    }
  }
  return {
    title: 'text: decode and prefill in Chromium on WASM',
    text: describe(results, memory, rounds),
    results: { speeds: results, memory },
  };
}

async function memoryOf(pages) {
  const bytes = {};
  for (const [name, page] of Object.entries(pages))
    bytes[name] = await page.evaluate(() => textBench.memory());
  return bytes;
}

async function openAll({ openPage, files, log }, threads) {
  const pages = {};
  for (const [name, { opener, files: own }] of Object.entries(CONTENDERS)) {
    log(`text, ${threads} thread(s): opening ${TITLES[name]}`);
    const page = await openPage();
    await page.evaluate(
      ([who, options]) => textBench.open(who, options),
      [opener, { ...files, ...own, threads, context: ROOM }],
    );
    pages[name] = page;
  }
  return pages;
}

/** Sessions allocate and the engine compiles in their first runs; those are not counted. */
async function warmUp({ nextPrompt }, pages) {
  const prompt = nextPrompt(CONTEXTS[0]);
  for (const page of Object.values(pages)) await runIn(page, prompt, WARM_UP_TOKENS);
}

async function measureOne({ nextPrompt, log }, pages, { threads, context, rounds }) {
  const names = Object.keys(pages);
  const taken = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    const prompt = nextPrompt(context);
    const first = round % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const answer = await runIn(pages[name], prompt, NEW_TOKENS);
      const speeds = speedsOf(answer, context);
      log(
        `text, ${threads} thread(s), ${context} tokens, round ${round + 1}: ${TITLES[name]} ` +
          `${rate(speeds.prefill)} prefill, ${rate(speeds.decode)} decode`,
      );
      taken[name].push({ ...speeds, ...answer });
    }
  }
  const medians = Object.fromEntries(
    names.map((name) => [
      name,
      {
        prefill: median(taken[name].map(({ prefill }) => prefill)),
        decode: median(taken[name].map(({ decode }) => decode)),
      },
    ]),
  );
  return { threads, context, medians, taken };
}

const runIn = (page, prompt, count) =>
  page.evaluate(([given, most]) => textBench.run(given, most), [prompt, count]);

/** Tokens/s. */
function speedsOf({ firstMs, totalMs, newTokens }, context) {
  return { prefill: (1000 * context) / firstMs, decode: (1000 * (newTokens - 1)) / (totalMs - firstMs) };
}

function describe(results, memory, rounds) {
  const rows = results.flatMap(({ threads, context, medians }) =>
    ['decode', 'prefill'].map((what) => [
      `${threads}`,
      `${context}`,
      what,
      ...Object.keys(CONTENDERS).map((name) => rate(medians[name][what])),
      ...Object.keys(CONTENDERS)
        .slice(1)
        .map((name) => times(medians.isthmus[what] / medians[name][what])),
    ]),
  );
  const rivals = Object.keys(CONTENDERS).slice(1);
  const header = [
    'threads',
    'context',
    'tokens/s of',
    ...Object.values(TITLES),
    ...rivals.map((name) => `/ ${name}`),
  ];
  const verdicts = Object.entries(TARGETS).flatMap(([rival, target]) =>
    ['decode', 'prefill'].map((what) => {
      const least = Math.min(...results.map(({ medians }) => medians.isthmus[what] / medians[rival][what]));
      const isMet = least >= target;
      return `${what}, at least ${times(target)} of ${TITLES[rival]}: ${isMet ? 'MET' : 'NOT MET'} (least ${times(least)})`;
    }),
  );
  return [
    `medians of ${rounds} rounds of ${NEW_TOKENS - 1} tokens; '/' is Isthmus over the rival`,
    table(header, rows),
    ...verdicts,
    '',
    'MB of the page and its workers after the last run, as the browser counts them',
    table(
      ['threads', ...Object.values(TITLES)],
      memory.map(({ threads, bytes }) => [
        `${threads}`,
        ...Object.keys(CONTENDERS).map((name) => (bytes[name] / 1e6).toFixed(0)),
      ]),
    ),
  ].join('\n');
}

const rate = (value) => value.toFixed(value < 100 ? 1 : 0);
const times = (value) => `${value.toFixed(2)}x`;
