/**
 * What local mode costs over running the original files in onnxruntime-web directly. Both live in one page
 * and take turns; which goes first changes with each round, so that neither has the warmer cache.
 */
import { median, spread } from '../report/statistics.mjs';
import { ms, percent, ratio, table } from '../report/table.mjs';

/** What the project promises: local mode takes at most this much of the direct time. */
const TARGET = 1.05;

/** Not counted: sessions allocate and the engine compiles during the first runs. */
const WARM_UPS = 2;

/** More threads are compared where there are cores for them. */
const THREADS = [1, 2];

/** @param {import('../setup/world.mjs').World} world */
export async function measureLocal(world, { runs }) {
  const results = [];
  for (const threads of THREADS) {
    const page = await world.openPage();
    try {
      if (threads > 1 && !(await page.evaluate(() => bench.isolated()))) {
        world.log(`${threads} threads: left out, the page is not cross-origin isolated`);
        continue;
      }
      results.push(await measureThreads(world, page, { runs, threads }));
    } finally {
      await page.context().close();
    }
  }
  return { title: 'local: Isthmus beside onnxruntime-web directly', text: describe(results, runs), results };
}

async function measureThreads(world, page, { runs, threads }) {
  const { model, recordings, packageUrl, log } = world;
  await openBoth(page, model, packageUrl, threads);
  const measured = [];
  for (const recording of recordings) {
    log(`local, ${threads} thread(s): ${recording.name}`);
    const maxTokens = Math.max(1, Math.ceil(recording.seconds * model.audio.maxTokensPerSecond));
    const turns = {
      isthmus: () => page.evaluate((name) => bench.transcribe(name, 'local'), recording.name),
      direct: () => page.evaluate(([name, most]) => bench.runDirect(name, most), [recording.name, maxTokens]),
    };
    const taken = { isthmus: [], direct: [] };
    for (let round = -WARM_UPS; round < runs; round += 1) {
      const order = round % 2 === 0 ? ['isthmus', 'direct'] : ['direct', 'isthmus'];
      for (const who of order) {
        const result = await turns[who]();
        if (round >= 0) taken[who].push(result);
      }
    }
    measured.push(compare(recording, taken));
  }
  return { threads, measured };
}

async function openBoth(page, model, packageUrl, threads) {
  const { bosToken, eosToken } = model.generation;
  const original = { encoderUrl: 'original/encoder.onnx', decoderUrl: 'original/decoder.onnx' };
  const opened = await page.evaluate(
    async ({ packageUrl, threads, original, tokens }) => {
      const base = document.baseURI;
      const ours = await bench.open(packageUrl, { endpoint: null, plan: 'local', provider: 'wasm', threads });
      await bench.prefetch();
      const direct = await bench.openDirect({
        encoderUrl: new URL(original.encoderUrl, base).href,
        decoderUrl: new URL(original.decoderUrl, base).href,
        threads,
        ...tokens,
      });
      return [ours.threads, direct.threads];
    },
    { packageUrl, threads, original, tokens: { bosToken, eosToken } },
  );
  if (opened.some((count) => count !== threads)) {
    throw new Error(`asked for ${threads} threads, got ${opened.join(' and ')}`);
  }
}

function compare(recording, { isthmus, direct }) {
  const answers = new Set([...isthmus, ...direct].map(({ tokens }) => tokens.join()));
  const times = (results, key) => results.map((result) => result[key]);
  const isthmusMs = median(times(isthmus, 'ms'));
  const directMs = median(times(direct, 'ms'));
  return {
    recording: recording.name,
    seconds: recording.seconds,
    text: isthmus[0].text,
    isEqual: answers.size === 1,
    isthmusMs,
    directMs,
    ratio: isthmusMs / directMs,
    // Rounds are pairs taken side by side: their ratios carry the noise of one moment only.
    pairs: isthmus.map((result, round) => result.ms / direct[round].ms),
    isthmusRuntimeMs: median(times(isthmus, 'runtimeMs')),
    directRuntimeMs: median(times(direct, 'runtimeMs')),
  };
}

function describe(results, runs) {
  const parts = results.map(({ threads, measured }) => {
    const rows = measured.map((one) => [
      one.recording,
      one.seconds.toFixed(1),
      ms(one.isthmusMs),
      ms(one.directMs),
      ratio(one.ratio),
      ms(one.isthmusMs - one.isthmusRuntimeMs),
      ms(one.directMs - one.directRuntimeMs),
      one.isEqual ? 'yes' : 'NO',
    ]);
    const pairs = measured.flatMap((one) => one.pairs);
    const overall = median(pairs);
    const [low, high] = spread(pairs);
    const isMet = overall <= TARGET;
    return [
      `${threads} thread${threads === 1 ? '' : 's'}; medians of ${runs} runs each, in ms`,
      table(
        [
          'recording',
          's',
          'isthmus',
          'direct',
          'ratio',
          'isthmus outside ORT',
          'direct outside ORT',
          'same tokens',
        ],
        rows,
      ),
      `overall ratio ${ratio(overall)} (half of ${pairs.length} pairs between ${ratio(low)} and ${ratio(high)})`,
      `target, at most ${ratio(TARGET)}: ${isMet ? 'MET' : 'NOT MET'} (${percent(overall - 1)})`,
    ].join('\n');
  });
  return parts.join('\n\n');
}
