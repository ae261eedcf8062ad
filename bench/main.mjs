#!/usr/bin/env node
/** `npm run bench`: figures of the library in real Chromium, after `npm run build`. Progress on stderr. */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { openWorld } from './setup/world.mjs';
import { measureLocal } from './suites/local.mjs';
import { measurePlans } from './suites/plans.mjs';
import { measureWire } from './suites/wire.mjs';

const MODEL = 'moonshine-tiny-q8';
const SUITES = { local: measureLocal, wire: measureWire, plans: measurePlans };
const DEFAULT_RUNS = 7;

/** Above this share of busy cores the times tell of the machine's other work. */
const QUIET_LOAD = 0.5;

const HELP = `Measures the library in Chromium: npm run bench [-- OPTIONS]

  --suite NAME   local   local mode beside the same model in onnxruntime-web directly
                 wire    bytes and round trips of every plan
                 plans   predicted and measured time of every plan, and the cold calibration
                 (default: all three)
  --runs N       counted runs of each side in 'local' (default ${DEFAULT_RUNS})
  --json FILE    also write every figure to FILE
  --help         show this

It reports and passes no judgement by its exit status: times belong to the machine they were taken on.`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      runs: { type: 'string', default: String(DEFAULT_RUNS) },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs takes a whole number, not ${values.runs}`);
  if (values.suite !== undefined && !Object.hasOwn(SUITES, values.suite)) {
    throw new Error(`there is no suite '${values.suite}': ${Object.keys(SUITES).join(', ')}`);
  }
  return { ...values, runs, suites: values.suite === undefined ? Object.keys(SUITES) : [values.suite] };
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
  const world = await openWorld(MODEL, log);
  const results = {};
  try {
    console.log(`${MODEL} in Chromium; ${before.cores} cores, ${before.cpu}`);
    console.log(`load before: ${before.load.toFixed(2)}; recordings: ${world.source}`);
    for (const suite of options.suites) {
      const { title, text, results: figures } = await SUITES[suite](world, options);
      results[suite] = figures;
      console.log(`\n== ${title}\n\n${text}`);
    }
  } finally {
    await world.close();
  }
  if (options.json !== undefined) {
    await writeFile(
      options.json,
      `${JSON.stringify({ model: MODEL, machine: before, ...results }, undefined, 2)}\n`,
    );
  }
}

try {
  const options = readOptions();
  if (options.help) console.log(HELP);
  else await bench(options);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
