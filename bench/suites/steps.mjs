/**
 * After a sudden change of the line, the device or the endpoint's load: which plans the next requests took, beside
 * forced ones that alternate with them. Those tell the planner nothing, for they are another session's.
 */
import { loadavg } from 'node:os';
import { timedBy } from '../grid/clocks.mjs';
import { DEVICES, kindOf } from '../grid/dimensions.mjs';
import { openPair } from '../grid/groups.mjs';
import { openProgress } from '../grid/progress.mjs';
import { BACK_UNDER, judgeStep, STEPS, WITHIN } from '../grid/steps.mjs';
import { taskOf } from '../grid/tasks.mjs';
import { median } from '../report/statistics.mjs';
import { ms, percent, table } from '../report/table.mjs';
import { startLoad } from '../setup/background-load.mjs';
import { maxTokensOf } from '../setup/cloud-app.mjs';
import { openDevice } from '../setup/device.mjs';
import { openGridWorld } from '../setup/grid-world.mjs';

/** Requests in the old state before the step: enough to be sure of it. */
const BEFORE = 8;

/** Counted runs of plans that the planner alone thought of. */
const ROUNDS = 3;

/** A plan that takes so many times the best one's time is not it: once is enough. */
const HOPELESS = 2;

/** @param {{ log: (line: string) => void, options: { only?: string } }} context `only`: steps whose names begin so */
export async function measureSteps({ log, options }) {
  const steps = STEPS.filter(({ name }) => name.startsWith(options.only ?? ''));
  const world = await openGridWorld(log, { hasText: false });
  const progress = openProgress(steps.length, log);
  const results = [];
  const absent = [];
  try {
    for (const step of steps) {
      progress.begin(step.name);
      const result = await measureStep(world, step);
      if (result.reason === undefined) results.push(result);
      else absent.push({ step: step.name, reason: result.reason });
      progress.end();
    }
  } finally {
    progress.close();
    await world.close();
  }
  return {
    title: `steps: regret of the ${WITHIN} requests behind a sudden change; ${world.source}`,
    text: describe(results, absent),
    results: { steps: results, absent },
  };
}

async function measureStep(world, step) {
  const isHeld = [step.from, step.to].some(({ cores }) => cores !== undefined);
  const device = await openDevice(DEVICES[step.device], { isHeld });
  if (device.reason !== undefined) return { reason: device.reason };
  let load;
  const enter = async (state) => {
    const { rttMs, up, down } = state.link;
    world.shape({ rttMs, upBitsPerSecond: up * 1e6, downBitsPerSecond: down * 1e6 });
    if (isHeld) device.limit(state.cores);
    await load?.stop();
    load = state.isLoaded ? await startOthers(world) : undefined;
  };
  try {
    const pair = await openPair(world, device, kindOf(step));
    const task = taskOf(step, world);
    const timed = timedBy(device, world.endpoint.pid, true);
    const auto = async () => {
      const run = await timed(() => task.run(pair.free, 'auto'));
      return { ...run, beliefs: await believed(task, pair.free) };
    };
    const forced = await openForced(task, pair.forced);
    await enter(step.from);
    const before = [];
    for (let index = 0; index < BEFORE; index += 1) before.push(await auto());
    await enter(step.to);
    const requests = [];
    for (let index = 0; index < WITHIN; index += 1) {
      requests.push(await auto());
      await forced.round();
    }
    await forced.add(requests.map(({ plan }) => plan));
    const measured = forced.medians();
    const { name, of, work } = step;
    return {
      step: { name, of, device: step.device, work },
      before: before.map(({ plan, totalMs, beliefs }) => ({ plan, ms: totalMs, beliefs })),
      ...judgeStep(requests, measured),
      forced: Object.fromEntries(measured),
      machineLoad: loadavg()[0],
    };
  } finally {
    await load?.stop();
    await device.close();
  }
}

/** Ms that the planner's session believes each pure plan to take, behind a request. */
async function believed(task, page) {
  const plans = (await task.explain(page)).filter(({ kind }) => kind !== 'split');
  return Object.fromEntries(plans.map(({ id, prediction }) => [id, prediction.totalMs]));
}

function startOthers({ endpoint, model, recordings }) {
  const recording = recordings[Math.floor(recordings.length / 2)];
  return startLoad(endpoint.url, model.name, recording, maxTokensOf(model, recording.samples));
}

/** Plans that anyone would force, built before they count: both pure ones and the first cut. */
async function openForced(task, page) {
  const plans = (await task.plans(page, false)).filter(({ isMiddle }) => !isMiddle);
  const run = async (choice) => (await task.run(page, choice)).totalMs;
  const measured = plans.map(({ id, choice }) => ({ id, choice, times: [] }));
  for (const { choice } of measured) await run(choice);
  const best = () => Math.min(...measured.flatMap(({ times }) => times));
  return {
    round: async () => {
      for (const { choice, times } of measured) {
        if (times.length > 0 && Math.min(...times) > HOPELESS * best()) continue;
        times.push(await run(choice));
      }
    },
    /** Cuts that the planner took besides. */
    add: async (ids) => {
      for (const id of new Set(ids)) {
        const cut = id.match(/^split@(\d+)\/(\w+)$/);
        if (cut === null) continue;
        const shorter = measured.find((one) => one.id === `split@${cut[1]}`);
        if (shorter !== undefined) {
          // A forced cut without a codec is the same plan by a shorter name.
          shorter.id = id;
          continue;
        }
        const added = { id, choice: { cut: Number(cut[1]), codec: cut[2] }, times: [] };
        measured.push(added);
        await run(added.choice);
        while (added.times.length < ROUNDS) added.times.push(await run(added.choice));
      }
    },
    medians: () => new Map(measured.map(({ id, times }) => [id, median(times)])),
  };
}

function describe(results, absent) {
  const rows = results.map(({ step, before, requests, oracle, backAfter }) => [
    step.name,
    before.at(-1).plan,
    `${oracle.plan} ${ms(oracle.ms)}`,
    shortly(requests.map(({ plan }) => plan)),
    percent(median(requests.map(({ regret }) => regret))),
    percent(requests.at(-1).regret),
    backAfter === null ? 'not' : String(backAfter),
  ]);
  const back = results.filter(({ backAfter }) => backAfter !== null).length;
  return [
    table(
      [
        'step',
        'plan before',
        'best behind it, ms',
        'plans taken',
        'regret, median',
        'of the last',
        'back after',
      ],
      rows,
    ),
    '',
    `a plan within ${percent(BACK_UNDER)} of the best one within ${WITHIN} requests: ${back} of ${results.length}`,
    ...absent.map(({ step, reason }) => `${step}: absent: ${reason}`),
  ].join('\n');
}

/** `remote x2, local x8` */
function shortly(plans) {
  const parts = [];
  for (const plan of plans) {
    const last = parts.at(-1);
    if (last?.plan === plan) last.count += 1;
    else parts.push({ plan, count: 1 });
  }
  return parts.map(({ plan, count }) => `${plan} x${count}`).join(', ');
}
