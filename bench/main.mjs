#!/usr/bin/env node
/** `npm run bench`: figures of the library in real Chromium, after `npm run build`. Progress on stderr. */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { openTextWorld } from './setup/text-world.mjs';
import { openWorld } from './setup/world.mjs';
import { measureCold } from './suites/cold.mjs';
import { measureEndpoint } from './suites/endpoint.mjs';
import { measureFirst } from './suites/first.mjs';
import { measureGrid } from './suites/grid.mjs';
import { measureLink } from './suites/link.mjs';
import { measureLocal } from './suites/local.mjs';
import { measureMemory } from './suites/memory.mjs';
import { measurePlans } from './suites/plans.mjs';
import { measureSmooth } from './suites/smooth.mjs';
import { measureSteps } from './suites/steps.mjs';
import { measureText } from './suites/text.mjs';
import { measureWire } from './suites/wire.mjs';

/**
 * Percent of what lives. Recordings and models' files live here, and what a line of the link reads is left behind outside
 * of the heap: V8 collects such a heap at a tenth more, for 100 ms of the processor beside whatever is timed.
 */
setFlagsFromString('--heap-growing-percent=300');

const MODEL = 'moonshine-tiny-q8';
const SPEECH_SUITES = { local: measureLocal, wire: measureWire, plans: measurePlans };
const TEXT_SUITES = { text: measureText, first: measureFirst };
const SUITES = { ...SPEECH_SUITES, ...TEXT_SUITES };
/** The planner over a grid of scenarios; a line of JSON for each, so that a run can be taken up again. */
const GRID_SUITES = {
  quick: (context) => measureGrid(context, 'quick'),
  full: (context) => measureGrid(context, 'full'),
};
/** Suites with a model and a link of their own; run only when named. */
const APART = {
  ...GRID_SUITES,
  steps: measureSteps,
  smooth: measureSmooth,
  cold: measureCold,
  endpoint: measureEndpoint,
  link: measureLink,
  memory: measureMemory,
};
const DEFAULT_RUNS = 7;
const DEFAULT_ROUNDS = 3;

/** Above this share of busy cores the times tell of the machine's other work. */
const QUIET_LOAD = 0.5;

const HELP = `Measures the library in Chromium: npm run bench [-- OPTIONS]

  --suite NAME   local   local mode beside the same model in onnxruntime-web directly
                 wire    bytes and round trips of every plan
                 plans   predicted and measured time of every plan, and the cold calibration
                 quick   the planner beside every forced plan over devices, links, work, caches and
                         loads of the endpoint; under 5 minutes
                 full    the same over all of them, in hours; --json takes up where a run ended
                 steps   which plans are taken after a sudden change of line, device or load
                 smooth  the longest tasks of the page's main thread, from a trace
                 text    a language model on the device beside wllama and transformers.js
                 cold    a first visit over a slow link: first token, take-over, the endpoint's end
                 first   the first token of a first visit, beside wllama and transformers.js over the same link
                 endpoint  its decoding beside onnxruntime-node on the unsplit graph
                 link    a language model over 80 ms: proposals under a cut, second turns
                 memory  what a page with all blocks of a language model holds
                 (default: the first three; not 'text', which takes a quarter of an hour, and those after it)
  --runs N       counted runs of each side in 'local' (default ${DEFAULT_RUNS})
  --rounds N     counted rounds of 'text', 'link' and 'endpoint' (default ${DEFAULT_ROUNDS})
  --only WORDS   of 'quick' and 'full': scenarios that have all of these parts, apart by commas
                 (e.g. "half a core,4g" or "text,cold"); of 'steps': how a step's name begins
  --json FILE    also write every figure to FILE
  --help         show this

It reports and passes no judgement by its exit status: times belong to the machine they were taken on.`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      runs: { type: 'string', default: String(DEFAULT_RUNS) },
      rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
      json: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const runs = countOf(values, 'runs');
  const rounds = countOf(values, 'rounds');
  if (values.suite !== undefined && !Object.hasOwn({ ...SUITES, ...APART }, values.suite)) {
    const names = Object.keys({ ...SUITES, ...APART });
    throw new Error(`there is no suite '${values.suite}': ${names.join(', ')}`);
  }
  const suites = values.suite === undefined ? Object.keys(SPEECH_SUITES) : [values.suite];
  return { ...values, runs, rounds, suites };
}

function countOf(values, name) {
  const count = Number(values[name]);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new Error(`--${name} takes a whole number, not ${values[name]}`);
}

const log = (line) => process.stderr.write(`${line}\n`);

function machine() {
  const cores = cpus();
  const [load = 0] = loadavg();
  return { cpu: cores[0]?.model ?? 'unknown', cores: cores.length, load };
}

async function bench(options) {
  const before = machine();
  if (before.load > QUIET_LOAD * before.cores) {
    log(`The machine is busy (load ${before.load.toFixed(2)} on ${before.cores} cores): times will be noisy`);
  }
  if (Object.hasOwn(APART, options.suite ?? '')) return benchApart(options, before);
  const isText = options.suites.every((suite) => Object.hasOwn(TEXT_SUITES, suite));
  const world = await (isText ? openTextWorld(log) : openWorld(MODEL, log));
  const model = isText ? world.name : MODEL;
  const results = {};
  try {
    console.log(`${model} in Chromium; ${before.cores} cores, ${before.cpu}`);
    console.log(
      `load before: ${before.load.toFixed(2)}; ${isText ? 'prompts' : 'recordings'}: ${world.source}`,
    );
    for (const suite of options.suites) {
      const { title, text, results: figures } = await SUITES[suite](world, options);
      results[suite] = figures;
      console.log(`\n== ${title}\n\n${text}`);
    }
  } finally {
    await world.close();
  }
  await save(options, { model: MODEL, machine: before, ...results });
}

async function benchApart(options, before) {
  const { title, text, results } = await APART[options.suite]({ log, options });
  console.log(`${before.cores} cores, ${before.cpu}; load before: ${before.load.toFixed(2)}`);
  console.log(`\n== ${title}\n\n${text}`);
  // A grid has written its lines as they came.
  if (Object.hasOwn(GRID_SUITES, options.suite)) return;
  await save(options, { machine: before, [options.suite]: results });
}

async function save({ json }, figures) {
  if (json !== undefined) await writeFile(json, `${JSON.stringify(figures, undefined, 2)}\n`);
}

try {
  const options = readOptions();
  if (options.help) console.log(HELP);
  else await bench(options);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
