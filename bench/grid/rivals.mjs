/** Libraries that run everything in the page: one figure for each device and work, for the line is nothing to them. */
import { join } from 'node:path';
import { startEndpoint } from '../setup/endpoint.mjs';
import { SPEECH_FILES } from '../setup/page.mjs';
import { buildTextPage, TEXT_FILES } from '../setup/text-page.mjs';
import { makeQ8 } from '../setup/text-q8.mjs';
import { TEXT_MODEL } from '../setup/text-world.mjs';
import { WORKS } from './dimensions.mjs';

/** Counted runs; one before them compiles and allocates. */
const RUNS = 3;

/** Ms: who takes longer than this is measured once. */
const LONG_MS = 15_000;

/** Positions that a prompt and its answer take at most. */
const CONTEXT = 1024;

const TEXT_RIVALS = { wllama: 'wllama', transformersJs: 'transformers' };

/** @returns {{ measure: Function, close: () => Promise<void> }} */
export function openRivals(world) {
  const known = new Map();
  let textEndpoint;
  const measureAll = async (task, work, device) => {
    if (task.recording !== undefined) {
      const page = await device.openPage(world.endpoint.url, [task.recording]);
      return closing(page, () => measureSpeech(world, page, task.recording, device.threads));
    }
    textEndpoint ??= startText(world);
    const { url } = await textEndpoint;
    return measureText(world, url, WORKS[work], device);
  };
  return {
    /** @returns {Promise<Record<string, readonly object[]>>} runs by name */
    measure: async ({ device: name, work, cache, load }, task, device) => {
      // On a first visit they fetch for minutes, which the suite 'first' measures; the endpoint's load is not theirs.
      if (cache !== 'warm' || load !== 'idle') return {};
      const key = `${name}, ${work}`;
      if (!known.has(key)) known.set(key, await measureAll(task, work, device));
      return known.get(key);
    },
    close: async () => (await textEndpoint)?.stop(),
  };
}

async function startText({ gguf, root, folders, log }) {
  const { folder: q8 } = await makeQ8(gguf, join(root, '.cache/bench/text/q8', TEXT_MODEL), log);
  const page = await buildTextPage(root, { gguf, q8, name: TEXT_MODEL });
  return startEndpoint(root, folders.text, page);
}

async function closing(page, work) {
  try {
    return await work();
  } finally {
    await page.context().close();
  }
}

async function repeated(run) {
  const runs = [];
  for (let round = -1; round < RUNS; round += 1) {
    const totalMs = await run();
    if (round >= 0) runs.push({ totalMs });
    if (totalMs > LONG_MS && runs.length > 0) break;
  }
  return runs;
}

/** The same ONNX files, without any library of ours. */
async function measureSpeech({ model }, page, { name, seconds }, threads) {
  const { bosToken, eosToken } = model.generation;
  const maxTokens = Math.ceil(seconds * model.audio.maxTokensPerSecond);
  await page.evaluate(
    async (open) => {
      const url = (path) => new URL(path, document.baseURI).href;
      await bench.openDirect({
        ...open,
        encoderUrl: url('original/encoder.onnx'),
        decoderUrl: url('original/decoder.onnx'),
      });
    },
    { threads, bosToken, eosToken },
  );
  const onnxruntimeWeb = await repeated(() =>
    page.evaluate(async ([what, most]) => (await bench.runDirect(what, most)).ms, [name, maxTokens]),
  );
  await page.evaluate((open) => bench.openTransformers(open), { ...SPEECH_FILES, threads });
  const transformersJs = await repeated(() =>
    page.evaluate(async ([what, most]) => (await bench.runTransformers(what, most)).ms, [name, maxTokens]),
  );
  return { onnxruntimeWeb, transformersJs };
}

/** The GGUF that the package was made from, and the same weights in the form that transformers.js reads. */
async function measureText({ nextPrompt, packages }, url, { prompt, tokens }, { browser, threads }) {
  const measured = {};
  for (const [name, opener] of Object.entries(TEXT_RIVALS)) {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(0);
    measured[name] = await closing(page, async () => {
      await page.goto(new URL('text.html', url).href);
      await page.waitForFunction(() => globalThis.textBench !== undefined);
      const options = {
        ...TEXT_FILES,
        modelName: TEXT_MODEL,
        packageUrl: packages.text,
        threads,
        context: CONTEXT,
      };
      await page.evaluate(([what, open]) => textBench.open(what, open), [opener, options]);
      return repeated(() =>
        page.evaluate(
          async ([asked, most]) => (await textBench.run(asked, most)).totalMs,
          [nextPrompt(prompt), tokens],
        ),
      );
    });
  }
  return measured;
}
