/** Scenarios of one device and kind of work, one after another: in two sessions that stay, or in first visits. */
import { startLoad } from '../setup/background-load.mjs';
import { maxTokensOf } from '../setup/cloud-app.mjs';
import { timedBy } from './clocks.mjs';
import { bitsOf, kindOf, LINKS } from './dimensions.mjs';
import { judge } from './judge.mjs';
import { measureCold } from './measure-cold.mjs';
import { measureWarm } from './measure-warm.mjs';
import { cloudPeers } from './peers.mjs';
import { taskOf } from './tasks.mjs';

/** What the link is while weights are fetched and blocks are timed. */
const HOME = 'lan';

/** Until a page has heard that its connections are cut. */
const NOTICE_MS = 200;

/** What a session does behind its opening would be in the other's first measurement. */
const REST_MS = 1500;

/** Both sessions of a device: one that chooses, and one that is told. */
export async function openPair(world, device, kind) {
  world.sever(false);
  world.shape(bitsOf(HOME));
  const pages = [];
  for (const fallback of [true, false]) {
    const page = await device.openPage(world.pageUrl, kind === 'speech' ? world.recordings : []);
    await page.evaluate(
      async ([url, options]) => {
        await bench.open(url, options);
        await bench.prefetch();
      },
      [world.packages[kind], { provider: 'wasm', threads: device.threads, fallback }],
    );
    pages.push(page);
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
  }
  const [free, forced] = pages;
  return {
    free,
    forced,
    close: () => Promise.all(pages.map((page) => page.context().close())),
  };
}

/**
 * @param {{ world: object, device: object, runs: number, runsMs: number, ownMs: number, undecidedMs: number,
 *   hasAllCuts: boolean, rivals: Function }} context
 */
export async function openWarmGroup(scenarios, context) {
  const { world, device, runs, runsMs, ownMs, undecidedMs, hasAllCuts, rivals } = context;
  const kind = kindOf(scenarios[0]);
  const pair = await openPair(world, device, kind);
  // Before the line is anything but fast: what a planner that profiles once would know.
  const profiled = new Map();
  for (const scenario of scenarios) {
    const task = taskOf(scenario, world);
    if (task.explain !== undefined) profiled.set(scenario.work, await task.explain(pair.free));
  }
  const measure = async (scenario) => {
    const task = taskOf(scenario, world);
    const link = LINKS[scenario.link];
    // Who goes from one network to another has their connections cut. What a line does while it stands is another suite's.
    world.sever(true);
    await new Promise((resolve) => setTimeout(resolve, NOTICE_MS));
    if (link !== undefined) {
      world.shape(bitsOf(scenario.link));
      world.sever(false);
      // Whose first run would have the new connection in it; the chooser's settling has.
      await task.connect(pair.forced);
    }
    const offline = link === undefined ? undefined : task.offlinePlan?.(profiled.get(scenario.work), link);
    const plans = link === undefined ? [LOCAL] : withPlan(await task.plans(pair.forced, hasAllCuts), offline);
    const timed = timedBy(device, world.endpoint.pid, scenario.load === 'loaded');
    const measured = await underLoad(world, scenario, async () =>
      measureWarm(task, {
        ...pair,
        runs,
        runsMs,
        ownMs,
        undecidedMs,
        kind,
        timed,
        plans,
        peers: link === undefined ? {} : await cloudPeers(pair.forced, task, world),
      }),
    );
    return judge({
      scenario,
      about: task.about,
      ...(task.explain === undefined ? {} : { beliefs: await task.explain(pair.free) }),
      offlinePlanId: offline?.id,
      ...measured,
      peers: { ...measured.peers, ...(await rivals(scenario, task, device)) },
    });
  };
  return { measure, close: pair.close };
}

const LOCAL = { id: 'local', choice: 'local' };

function withPlan(plans, plan) {
  if (plan === undefined || plans.some(({ id }) => id === plan.id)) return plans;
  return [...plans, plan];
}

/** @param {{ world: object, device: object, runs: number, visitMs: number, undecidedMs: number }} context */
export async function openColdGroup(scenarios, { world, device, runs, visitMs, undecidedMs }) {
  const kind = kindOf(scenarios[0]);
  const measure = async (scenario) => {
    const task = taskOf(scenario, world);
    world.sever(false);
    const timed = timedBy(device, world.endpoint.pid, scenario.load === 'loaded');
    const cut = world.middles[kind];
    const middle = { id: `split@${cut}`, choice: { cut }, isMiddle: true };
    const measured = await underLoad(world, scenario, () => {
      world.shape(bitsOf(scenario.link));
      return measureCold(task, {
        openPage: () => device.openPage(world.pageUrl, kind === 'speech' ? [task.recording] : []),
        rest: device.rest,
        packageUrl: world.packages[kind],
        threads: device.threads,
        runs,
        visitMs,
        undecidedMs,
        bytes: world.bytes,
        timed,
        plans: [{ id: 'remote', choice: 'remote' }, LOCAL, middle],
      });
    });
    return judge({ scenario, about: task.about, ...measured });
  };
  return { measure, close: async () => undefined };
}

async function underLoad(world, { load }, work) {
  if (load !== 'loaded') return work();
  const { endpoint, model, recordings } = world;
  const recording = recordings[Math.floor(recordings.length / 2)];
  const other = await startLoad(endpoint.url, model.name, recording, maxTokensOf(model, recording.samples));
  try {
    return await work();
  } finally {
    await other.stop();
  }
}
