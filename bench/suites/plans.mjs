/** Prediction beside measurement for every plan on loopback, what was chosen, and a first visit's cost. */
import { median } from '../report/statistics.mjs';
import { ms, ratio, table } from '../report/table.mjs';
import { planChoices } from './plan-list.mjs';

/** Runs of each plan; one more before them builds its sessions. */
const RUNS = 3;

/** Fresh browser profiles whose calibration is timed. */
const COLD_STARTS = 5;

/** Ms. What the project promises of a device that has not been measured before. */
const CALIBRATION_TARGET_MS = 1000;

/** @param {import('../setup/world.mjs').World} world */
export async function measurePlans(world) {
  const { recordings } = world;
  const cold = await coldStarts(world);
  const chosen = [recordings.at(0), recordings.at(-1)];
  const results = [];
  for (const recording of chosen) results.push(await measureRecording(world, recording));
  return {
    title: 'plans: predicted and measured on loopback',
    text: [...results.map(describe), describeCold(cold)].join('\n\n'),
    results: { cold, recordings: results },
  };
}

async function measureRecording(world, recording) {
  const { packageUrl, log } = world;
  const page = await world.openPage();
  const transcribe = (plan) =>
    page.evaluate(([name, choice]) => bench.transcribe(name, choice), [recording.name, plan]);
  try {
    await page.evaluate(async (url) => {
      await bench.open(url, { provider: 'wasm', fallback: false });
      await bench.prefetch();
    }, packageUrl);
    const { tokens } = await transcribe('remote');
    const explain = () =>
      page.evaluate(([name, count]) => bench.explain(name, count), [recording.name, tokens.length]);
    const before = await explain();
    const rows = [];
    for (const { id, choice } of planChoices(before.plans)) {
      log(`plans: ${recording.name}: ${id}`);
      await transcribe(choice);
      const runs = [];
      for (let run = 0; run < RUNS; run += 1) runs.push(await transcribe(choice));
      rows.push({
        id,
        firstPredictedMs: before.plans.find((plan) => plan.id === id).prediction.totalMs,
        predictedMs: median(runs.map(({ report }) => report.plan.prediction.totalMs)),
        measuredMs: median(runs.map(({ report }) => report.totalMs)),
      });
    }
    const auto = [];
    for (let run = 0; run < RUNS; run += 1) auto.push((await transcribe('auto')).report);
    return {
      recording: recording.name,
      seconds: recording.seconds,
      tokens: tokens.length,
      rows,
      chosenAtFirst: before.chosen.id,
      chosen: auto.map(({ plan }) => plan.id),
      reason: auto.at(-1).reason,
      autoMs: median(auto.map(({ totalMs }) => totalMs)),
    };
  } finally {
    await page.context().close();
  }
}

async function coldStarts({ openPage, packageUrl, log }) {
  const starts = [];
  for (let run = 0; run < COLD_STARTS; run += 1) {
    log(`plans: cold start ${run + 1} of ${COLD_STARTS}`);
    const page = await openPage();
    try {
      const { events, openMs } = await page.evaluate(async (url) => {
        const started = performance.now();
        // Without an endpoint the opening waits for it.
        await bench.open(url, { provider: 'wasm', prefetch: false, endpoint: null });
        return { openMs: performance.now() - started, events: bench.events() };
      }, packageUrl);
      const profile = events.find(({ type }) => type === 'profile');
      if (profile === undefined || profile.cached) throw new Error('a fresh profile was not measured');
      starts.push({ calibrationMs: profile.ms, openMs });
    } finally {
      await page.context().close();
    }
  }
  return starts;
}

function describe(result) {
  const { recording, seconds, tokens, rows, chosenAtFirst, chosen, reason, autoMs } = result;
  const best = rows.reduce((a, b) => (b.measuredMs < a.measuredMs ? b : a));
  const cells = rows.map((row) => [
    row.id,
    ms(row.firstPredictedMs),
    ms(row.predictedMs),
    ms(row.measuredMs),
    ratio(row.predictedMs / row.measuredMs),
  ]);
  return [
    `${recording}, ${seconds.toFixed(1)} s, ${tokens} tokens; ms, medians of ${RUNS}`,
    table(['plan', 'predicted at first', 'predicted', 'measured', 'predicted/measured'], cells),
    `auto: ${chosenAtFirst} before these runs; after them ${chosen.join(', ')} (${ms(autoMs)} ms): ${reason}`,
    `fastest measured: ${best.id}, ${ms(best.measuredMs)} ms; auto takes ${ratio(autoMs / best.measuredMs)} of it`,
  ].join('\n');
}

function describeCold(starts) {
  const times = starts.map(({ calibrationMs }) => calibrationMs);
  const middle = median(times);
  return [
    `first visit: calibration takes ${ms(middle)} ms (median of ${times.length}: ${times.map(ms).join(', ')}), ` +
      `opening the session with it ${ms(median(starts.map(({ openMs }) => openMs)))} ms`,
    `target, under ${CALIBRATION_TARGET_MS} ms: ${middle < CALIBRATION_TARGET_MS ? 'MET' : 'NOT MET'}`,
  ].join('\n');
}
