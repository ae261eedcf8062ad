/**
 * A first visit: nothing is here, a session is opened and asked at once. Times are from its opening on, when the page
 * itself is here; bytes are all that the line carried from then to the answer, runtime and weights among them.
 */

/** A plan that waits for weights on a slow line is waited for so many times the best one's time, if that is longer. */
const HOPELESS = 2;

/** `auto` must come to an end; on the slowest line all weights take as long. */
const AUTO_LIMIT_MS = 180_000;

/** Short visits are taken more often, for they differ by a fifth; yet not for ever. */
const VISITS_MS = 4000;
const MAX_ROUNDS = 7;

/**
 * @param {import('./tasks.mjs').Task} task
 * @param {{ openPage: () => Promise<import('playwright-core').Page>, packageUrl: string, threads: number, runs: number,
 *   visitMs: number, timed: Function, bytes: () => { up: number, down: number }, plans: readonly { id: string, choice: unknown, isMiddle?: boolean }[] }} context
 */
export async function measureCold(task, context) {
  const offers = context.plans.map(({ id, choice, isMiddle }) => ({
    id,
    choice,
    isMiddle,
    runs: [],
    autos: [],
  }));
  let bestMs = Infinity;
  const visits = async (plan, limitMs) => {
    const run = await visit(task, context, plan, limitMs);
    if (run !== undefined) bestMs = Math.min(bestMs, run.totalMs);
    return run;
  };
  const isOver = ({ atLeastMs }) => atLeastMs !== undefined;
  let spentMs = 0;
  for (let round = 0; round < MAX_ROUNDS && (round < context.runs || spentMs < VISITS_MS); round += 1) {
    const auto = await visits('auto', AUTO_LIMIT_MS);
    if (auto === undefined) throw new Error(`a first visit had no answer in ${AUTO_LIMIT_MS} ms`);
    spentMs += auto.totalMs;
    for (const offer of offers) {
      // One visit to each of them all stands for a round: they are too long to be taken twice.
      offer.autos.push(auto);
      if (isOver(offer)) continue;
      const limitMs = Math.max(context.visitMs, HOPELESS * bestMs);
      const run = await visits(offer.choice, limitMs);
      if (run === undefined) offer.atLeastMs = limitMs;
      else offer.runs.push(run);
    }
  }
  return { offers };
}

/** @returns {Promise<object | undefined>} undefined: it took longer than the limit */
async function visit(task, { openPage, packageUrl, threads, timed, bytes }, plan, limitMs) {
  const page = await openPage();
  let timer;
  try {
    const options = {
      provider: 'wasm',
      threads,
      // Who forces a plan fetches what it needs and no more.
      ...(plan === 'auto' ? {} : { plan, fallback: false, prefetch: false }),
    };
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    const before = bytes();
    const asked = page.evaluate(
      ([url, how, errand]) => bench.visit(url, how, errand),
      [packageUrl, options, task.errand(plan)],
    );
    // A page that is closed while it works ends its call with an error that nobody waits for.
    asked.catch(() => undefined);
    return await timed(async () => {
      const told = await Promise.race([asked, late]);
      if (told === undefined) return undefined;
      const { up, down } = bytes();
      const traffic = { bytesUp: up - before.up, bytesDown: down - before.down };
      return { ...fromOpening(task.toRun(told.result), told.openMs), ...traffic };
    });
  } finally {
    clearTimeout(timer);
    await page.context().close();
  }
}

/** What is predicted is the request; the opening, which is not, is added to it as it was. */
function fromOpening(run, openMs) {
  const { totalMs, ttftMs, predictedMs } = run;
  return {
    ...run,
    openMs,
    totalMs: openMs + totalMs,
    ttftMs: openMs + ttftMs,
    ...(predictedMs === undefined ? {} : { predictedMs: openMs + predictedMs }),
  };
}
