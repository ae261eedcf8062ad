/** The main thread of a page from opening on, during cold calibration, speech and text: its longest task with script in it, by a trace. */

import { bitsOf } from '../grid/dimensions.mjs';
import { CATEGORIES, processOf, scriptTasks } from '../grid/main-thread.mjs';
import { taskOf } from '../grid/tasks.mjs';
import { table } from '../report/table.mjs';
import { openDevice } from '../setup/device.mjs';
import { giveWay } from '../setup/give-way.mjs';
import { openGridWorld } from '../setup/grid-world.mjs';

/** What the project promises: a frame of 60 Hz. */
const MOST_MS = 16;

const DEVICE = { threads: 1 };
const WORK = '7 s';
const PROMPT_TOKENS = 256;
const NEW_TOKENS = 32;

const MARK = 'traced';

/** Ms behind each: what it leaves to the background is in its trace. */
const REST_MS = 1000;

/** Of the longest tasks of each: so many are kept, so many shown, with so many of their parts. */
const KEPT = 20;
const SHOWN = 3;
const PARTS = 4;

/** @param {{ log: (line: string) => void }} context */
export async function measureSmooth({ log }) {
  const world = await openGridWorld(log, { hasText: true });
  const device = await openDevice(DEVICE);
  // Endpoint and line are other machines: on the device's cores they would be in the page's tasks.
  for (const pid of [world.endpoint.pid, process.pid]) giveWay(pid);
  const results = [];
  try {
    world.shape(bitsOf('wifi'));
    for (const kind of ['speech', 'text']) {
      results.push(...(await measureKind(world, device, kind)));
    }
  } finally {
    await device.close();
    await world.close();
  }
  return { title: 'smooth: the longest tasks of the main thread', text: describe(results), results };
}

async function measureKind(world, device, kind) {
  const speech = taskOf({ work: WORK }, world);
  const page = await device.openPage(world.pageUrl, kind === 'speech' ? [speech.recording] : []);
  const trace = async (name, work) => {
    world.log(`smooth: ${kind}: ${name}`);
    const tasks = await traced(device.browser, page, work);
    const over = tasks.filter(({ ms }) => ms > MOST_MS).length;
    return { name: `${kind}: ${name}`, tasks: tasks.slice(0, KEPT), over };
  };
  const ask = kind === 'speech' ? speech.run : chat(world);
  const open = { provider: 'wasm', threads: device.threads, prefetch: false };
  try {
    const results = [
      await trace('opening, nothing is here', () =>
        page.evaluate(([url, options]) => bench.open(url, options), [world.packages[kind], open]),
      ),
      await trace('fetching all weights, and calibration', () => page.evaluate(() => bench.prefetch())),
    ];
    for (const [index, plan] of ['local', 'remote', { cut: world.middles[kind] }, 'auto'].entries()) {
      const called = typeof plan === 'string' ? plan : `split@${plan.cut}`;
      const name = index === 0 ? `${called}, the first request` : called;
      results.push(await trace(name, () => ask(page, plan)));
    }
    return results;
  } finally {
    await page.context().close();
  }
}

/** In words, as an app asks. */
const chat = (world) => (page, plan) =>
  page.evaluate(
    ([text, most, choice]) => bench.chat(text, most, choice),
    [world.nextPrompt(PROMPT_TOKENS).text, NEW_TOKENS, plan],
  );

async function traced(browser, page, work) {
  await browser.startTracing(page, { categories: CATEGORIES });
  let buffer;
  try {
    await page.evaluate((mark) => performance.mark(mark), MARK);
    await work();
    await page.waitForTimeout(REST_MS);
  } finally {
    buffer = await browser.stopTracing();
  }
  const trace = JSON.parse(buffer.toString());
  return scriptTasks(trace, processOf(trace, MARK));
}

function describe(results) {
  const rows = results.map(({ name, tasks, over }) => [
    name,
    (tasks[0]?.ms ?? 0).toFixed(1),
    (tasks[0]?.cpuMs ?? 0).toFixed(1),
    String(over),
  ]);
  const isMet = results.every(({ over }) => over === 0);
  const longest = results.flatMap(({ name, tasks }) =>
    tasks
      .filter(({ ms }) => ms > MOST_MS)
      .slice(0, SHOWN)
      .map(({ ms, parts }) => `  ${name}: ${ms.toFixed(1)} ms: ${parts.slice(0, PARTS).join('; ')}`),
  );
  return [
    table(['while', 'longest task, ms', 'of it on a core, ms', `over ${MOST_MS} ms`], rows),
    '',
    `no task with script over ${MOST_MS} ms: ${isMet ? 'MET' : 'NOT MET'}`,
    ...longest,
  ].join('\n');
}
