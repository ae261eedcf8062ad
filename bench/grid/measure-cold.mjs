/**
 * A first visit: nothing is here, a session is opened and asked at once. Times are from its opening on, when the page
 * itself is here, to the words of the answer; bytes are all that the line carried from then to the answer, runtime and weights among them.
 */

import { isSure, isToldApart } from './enough.mjs';
import { isPlan, logsOf } from './judge.mjs';

/** A plan that waits for weights on a slow line is waited for so many times the best one's time, if that is longer. */
const HOPELESS = 2;

/** `auto` must come to an end; on the slowest line all weights take as long. */
const AUTO_LIMIT_MS = 180_000;

/**
 * Short visits are taken more often, for they differ by a fifth: until what choosing costs is known to `SURE`, as in
 * `measure-warm`, or for so long and so often; where it is not told by then, until it is or the suite's patience ends.
 */
const SURE = 0.02;
const VISITS_MS = 4000;
const MAX_ROUNDS = 9;

/**
 * @param {import('./tasks.mjs').Task} task
 * @param {{ openPage: () => Promise<import('playwright-core').Page>, rest: () => Promise<void>, packageUrl: string, threads: number, runs: number,
 *   visitMs: number, undecidedMs: number, timed: Function, bytes: () => { up: number, down: number }, plans: readonly { id: string, choice: unknown, isMiddle?: boolean }[] }} context
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
  let round = 0;
  const visits = async (plan, limitMs) => {
    const run = await visit(task, context, { plan, round }, limitMs);
    if (run !== undefined) bestMs = Math.min(bestMs, run.totalMs);
    return run;
  };
  // Once is enough to know that a plan is not the best one, and so is having stopped it.
  const isOver = ({ runs, atLeastMs }) =>
    atLeastMs !== undefined || runs.some(({ totalMs }) => totalMs > HOPELESS * bestMs);
  let spentMs = 0;
  const force = async (offer) => {
    if (isOver(offer)) return;
    const limitMs = Math.max(context.visitMs, HOPELESS * bestMs);
    const run = await visits(offer.choice, limitMs);
    if (run === undefined) offer.atLeastMs = limitMs;
    else offer.runs.push(run);
  };
  const isEnough = () => {
    if (round < context.runs) return false;
    const own = ownOf(offers);
    const logs = own === undefined ? undefined : logsOf(own);
    if (logs !== undefined && isSure(logs, SURE)) return true;
    if (round < MAX_ROUNDS && spentMs <= VISITS_MS) return false;
    return logs === undefined || isToldApart(logs) || spentMs > context.undecidedMs;
  };
  for (; !isEnough(); round += 1) {
    // The first of a round comes behind the longest visit, whose page is still being put away: each is it in turn.
    const [first] = offers;
    if (round % 2 === 1) await force(first);
    const auto = await visits('auto', AUTO_LIMIT_MS);
    if (auto === undefined) throw new Error(`a first visit had no answer in ${AUTO_LIMIT_MS} ms`);
    spentMs += auto.totalMs;
    // One visit to each of them all stands for a round: they are too long to be taken twice.
    for (const offer of offers) offer.autos.push(auto);
    if (round % 2 === 0) await force(first);
    for (const offer of offers.slice(1)) await force(offer);
  }
  const own = ownOf(offers);
  return { offers, ...(own === undefined ? {} : { own }) };
}

/** Nothing where `auto` does not take one plan throughout that was visited as often: told what, would it be the same? */
function ownOf(offers) {
  const offer = offers.find(
    ({ id, runs, autos }) => runs.length === autos.length && autos.every(({ plan }) => isPlan(plan, id)),
  );
  return offer === undefined ? undefined : { id: offer.id, autos: offer.autos, tolds: offer.runs };
}

/**
 * Those of one round ask for the same.
 * @returns {Promise<object | undefined>} undefined: it took longer than the limit
 */
async function visit(task, { openPage, rest, packageUrl, threads, timed, bytes }, { plan, round }, limitMs) {
  const page = await openPage();
  let timer;
  try {
    // What the browser does behind a page's opening and another's end is not the visit's.
    await rest();
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
      [packageUrl, options, task.errand(plan, round)],
    );
    // A page that is closed while it works ends its call with an error that nobody waits for.
    asked.catch(() => undefined);
    return await timed(async () => {
      const told = await Promise.race([asked, late]);
      if (told === undefined) return undefined;
      const { up, down } = bytes();
      const traffic = { bytesUp: up - before.up, bytesDown: down - before.down };
      return { ...fromOpening(task.toRun(told.result), told), ...traffic };
    });
  } finally {
    clearTimeout(timer);
    await page.context().close();
  }
}

/**
 * To the words on the page, for which the tokenizer must be there. What is predicted is the request; the rest, which is
 * not, is added to it as it was.
 */
function fromOpening(run, { openMs, result: { ms } }) {
  const { totalMs, ttftMs, predictedMs } = run;
  const restMs = openMs + ms - totalMs;
  return {
    ...run,
    openMs,
    totalMs: openMs + ms,
    ttftMs: openMs + ttftMs,
    ...(predictedMs === undefined ? {} : { predictedMs: restMs + predictedMs }),
  };
}
