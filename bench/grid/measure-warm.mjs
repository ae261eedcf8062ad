/**
 * Everything is here: the planner's requests alternate with those of each forced plan. It chooses in a session of its
 * own, which never sees the forced runs; both sessions share the line. The same work on the same threads takes up to a
 * sixth more in one session than in another (where its memory lies), so in the end the chooser's alternate with the plan
 * that it takes most often, told to it: what choosing costs is seen within one session, as what plans cost is.
 */

import { isSure, isToldApart } from './enough.mjs';
import { isPlan, logsOf } from './judge.mjs';

/** Runs of `auto` before those that count: what the link has become is learned from them. */
const SETTLING = { speech: 3, text: 2 };

/** Short runs are taken more often, for their noise is larger; yet not for ever. */
const MAX_RUNS = 9;

/**
 * A plan that takes so many times the best one's time on the same input is not it. Twice, for one run may have met
 * another's work; a text that guesses suit takes a third of another one's time, so inputs are not mixed.
 */
const HOPELESS = 2;
const HOPELESS_RUNS = 2;

/** Long runs differ by little: so many of them are enough once they took so long. */
const LONG_MS = 6000;
const LONG_RUNS = 3;

/**
 * What differs by a few per cent at most is taken as often as it takes to know that, for short runs differ by a tenth
 * from one to the next: until the mean of the ratio's logarithm has no larger standard error than this.
 */
const SURE = 0.015;

/** A pure plan builds little: its first run is known to be too long already when it takes so many times that. */
const OUT_OF_QUESTION = 4;

/**
 * @param {import('./tasks.mjs').Task} task
 * @param {{ free: object, forced: object, runs: number, runsMs: number, ownMs: number, undecidedMs: number,
 *   kind: 'speech' | 'text', timed: Function,
 *   plans: readonly { id: string, choice: unknown, isMiddle?: boolean }[],
 *   peers: Readonly<Record<string, () => Promise<object>>> }} context
 */
export async function measureWarm(task, context) {
  const { free, forced, runs, runsMs, ownMs, undecidedMs, kind, timed, plans, peers } = context;
  const auto = (index) => timed(() => task.run(free, 'auto', index));
  const settling = [];
  for (let index = 0; index < SETTLING[kind]; index += 1) settling.push(await auto());
  let bestMs = Infinity;
  /** The same by input. */
  const bestAt = [];
  const offers = [];
  for (const { id, choice, isMiddle } of plans) {
    const offer = { id, isMiddle, runs: [], autos: [] };
    // A session keeps the sessions of two cuts: the first run under another one builds them, and does not count.
    const first = await timed(() => task.run(forced, choice));
    if (typeof choice === 'string' && first.totalMs > OUT_OF_QUESTION * bestMs) {
      offer.runs.push(first);
      offer.autos.push(await auto());
    }
    while (!isEnough(offer.runs, { runs, runsMs, bestAt })) {
      offer.runs.push(await timed(() => task.run(forced, choice, offer.runs.length)));
      offer.autos.push(await auto());
    }
    bestMs = Math.min(bestMs, ...offer.runs.map(({ totalMs }) => totalMs));
    for (const [index, { totalMs }] of offer.runs.entries()) {
      bestAt[index] = Math.min(bestAt[index] ?? Infinity, totalMs);
    }
    offers.push(offer);
  }
  const own = await besideItself(offers, plans, {
    runs,
    ownMs,
    undecidedMs,
    auto,
    told: (choice, index) => timed(() => task.run(free, choice, index)),
  });
  return {
    settling,
    offers,
    ...(own === undefined ? {} : { own }),
    peers: await measurePeers(peers, runs, bestMs),
  };
}

/** With the plan that it takes most often: told what, would it be the same? Nothing where that one was not forced. */
async function besideItself(offers, plans, { auto, told, ...bounds }) {
  const autos = offers.flatMap((offer) => offer.autos);
  const times = plans.map(({ id }) => autos.filter((one) => isPlan(one.plan, id)).length);
  const most = Math.max(...times);
  if (most === 0) return undefined;
  const { id, choice } = plans[times.indexOf(most)];
  const own = { id, autos: [], tolds: [] };
  let isAutoFirst = false;
  // Behind the inputs of the forced runs. Both run the same ones, in twos: the state of the other one lies between them.
  for (let input = MAX_RUNS; !areEnoughPairs(own, bounds); input += 2) {
    const inputs = [input, input + 1];
    const runAutos = async () => {
      for (const index of inputs) own.autos.push(await auto(index));
    };
    // Each is the first as often as the other: the second of two finds the cores as the first has left them.
    if (isAutoFirst) await runAutos();
    for (const index of inputs) own.tolds.push(await told(choice, index));
    if (!isAutoFirst) await runAutos();
    isAutoFirst = !isAutoFirst;
  }
  return own;
}

function areEnoughPairs(own, { runs, ownMs, undecidedMs }) {
  const { tolds } = own;
  const spent = tolds.reduce((sum, { totalMs }) => sum + totalMs, 0);
  if (tolds.length < (spent > LONG_MS ? LONG_RUNS : runs)) return false;
  const logs = logsOf(own);
  if (isSure(logs, SURE)) return true;
  return spent > ownMs && (spent > undecidedMs || isToldApart(logs));
}

function isEnough(taken, { runs, runsMs, bestAt }) {
  if (taken.length === 0) return false;
  const hopeless = taken.filter(({ totalMs }, index) => totalMs > HOPELESS * (bestAt[index] ?? Infinity));
  if (hopeless.length >= HOPELESS_RUNS) return true;
  if (taken.some(({ totalMs }, index) => totalMs > OUT_OF_QUESTION * (bestAt[index] ?? Infinity)))
    return true;
  const spent = taken.reduce((sum, { totalMs }) => sum + totalMs, 0);
  if (taken.length >= LONG_RUNS && spent > LONG_MS) return true;
  return taken.length >= runs && (taken.length >= MAX_RUNS || spent > runsMs);
}

/** In turns; the first of each opens its connection, and does not count. One run of a hopeless one is enough. */
async function measurePeers(peers, runs, bestMs) {
  const names = Object.keys(peers);
  const measured = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -1; round < runs; round += 1) {
    for (const name of names) {
      if (measured[name].some(({ totalMs }) => totalMs > HOPELESS * bestMs)) continue;
      const run = await peers[name]();
      if (round >= 0) measured[name].push(run);
    }
  }
  return measured;
}
