/** What the lines of a grid run say together: regret, nearness to the better pure plan, what cuts gain. Pure. */
import { isToldApart } from '../grid/enough.mjs';
import { logRatios } from '../grid/judge.mjs';
import { missesByChance } from './noise-floor.mjs';
import { median, quantile } from './statistics.mjs';
import { TARGETS } from './targets.mjs';

/** Shown in the order of the columns of a report. */
const LINK_ORDER = ['lan', 'wifi', '4g', '3g', 'offline'];

/** The better of the pure plans that could run at all; `Infinity` where none was measured. */
export const pureMs = ({ allLocalMs, allRemoteMs }) =>
  Math.min(allLocalMs ?? Infinity, allRemoteMs ?? Infinity);

/** @param {readonly object[]} results lines of one or more runs; not empty */
export function figuresOf(results) {
  const regrets = results.map(({ regret }) => regret);
  const mean = regrets.reduce((sum, value) => sum + value, 0) / regrets.length;
  const p95 = quantile(regrets, 0.95);
  const near = results.filter((one) => one.ms.total <= TARGETS.nearRatio * pureMs(one)).length;
  const choices = results.flatMap(({ choiceRegret }) => (choiceRegret == null ? [] : [choiceRegret]));
  const choosing = results.flatMap((one) => (one.choosing == null ? [] : [one.choosing.ratio]));
  const predicted = results.filter(({ predictedMs }) => predictedMs != null);
  return {
    count: results.length,
    mean,
    p95,
    near,
    nearIfFree: nearIfFree(results),
    /** Scenarios whose pairs of runs do not tell on which side of that they are; undefined where there are no pairs. */
    untold: untoldOf(results),
    /** Of the choices alone, and what choosing takes over the same plan when it is told; undefined where neither is known. */
    choice:
      choices.length === 0
        ? undefined
        : {
            mean: choices.reduce((sum, one) => sum + one, 0) / choices.length,
            p95: quantile(choices, 0.95),
            count: choices.length,
          },
    choosing: choosing.length === 0 ? undefined : median(choosing),
    bestChosen: results.filter((one) => one.plan === one.oracle.plan).length,
    bestGain: Math.max(...results.map((one) => 1 - one.oracle.ms / pureMs(one))),
    /** Of the prediction over the measured time; undefined where nothing was predicted. */
    calibration:
      predicted.length === 0 ? undefined : median(predicted.map((one) => one.predictedMs / one.ms.total)),
    cloud: cloudOf(results),
    peers: peersOf(results),
    isMet: {
      mean: mean <= TARGETS.mean,
      p95: p95 <= TARGETS.p95,
      near: near >= TARGETS.near * results.length,
    },
  };
}

/** What the plan that was chosen takes, told, of the better pure plan's time. */
const asideOf = (one) => one.ms.total / one.choosing.ratio / pureMs(one);

function untoldOf(results) {
  const paired = results.filter(({ choosing }) => choosing != null);
  if (paired.length === 0) return undefined;
  return paired.filter((one) => {
    const { autoMs, toldMs } = one.choosing;
    return !isToldApart(logRatios(autoMs, toldMs), asideOf(one));
  }).length;
}

/**
 * Scenarios that a planner which takes the best plan and costs nothing would be seen to be near in; undefined where no
 * pairs of runs tell. One without pairs counts as it was seen.
 */
function nearIfFree(results) {
  if (!results.some(({ choosing }) => choosing != null)) return undefined;
  const bound = TARGETS.nearRatio;
  return results.reduce((sum, one) => {
    const { choosing } = one;
    if (choosing == null) return sum + Number(one.ms.total <= bound * pureMs(one));
    return sum + 1 - missesByChance(choosing, { bound, aside: Math.min(1, asideOf(one)) });
  }, 0);
}

/**
 * Endpoint's processor time against all-remote's, over scenarios in which the planner was no slower than it.
 * @returns {{ share: number, count: number, of: number } | undefined} undefined where neither was measured
 */
function cloudOf(results) {
  const both = results.filter(
    (one) => one.allRemoteMs != null && one.endpointCpuMs != null && one.allRemoteEndpointCpuMs > 0,
  );
  const noSlower = both.filter((one) => one.ms.total <= TARGETS.nearRatio * one.allRemoteMs);
  if (noSlower.length === 0) return undefined;
  const sum = (of) => noSlower.reduce((total, one) => total + of(one), 0);
  return {
    share: sum((one) => one.endpointCpuMs) / sum((one) => one.allRemoteEndpointCpuMs),
    count: noSlower.length,
    of: both.length,
  };
}

/** What others take, over what the planner took in the same scenario: the median of each, most often measured first. */
function peersOf(results) {
  const ratios = new Map();
  const note = (name, ms, total) => {
    if (ms != null) ratios.set(name, [...(ratios.get(name) ?? []), ms / total]);
  };
  for (const { ms, fixedMiddleMs, peers = {} } of results) {
    note('fixed middle cut', fixedMiddleMs, ms.total);
    for (const [name, peer] of Object.entries(peers)) note(name, peer.ms, ms.total);
  }
  return [...ratios]
    .map(([name, all]) => ({ name, ratio: median(all), count: all.length }))
    .sort((a, b) => b.count - a.count);
}

/** @returns {string} `2 threads, 3g, 4 s`, with cache and load where they are not the usual ones */
export function nameOf({ device, link, work, cache, load }) {
  return [device, link, work, cache === 'warm' ? '' : cache, load === 'idle' ? '' : load]
    .filter((part) => part !== '')
    .join(', ');
}

/** Links along one side and devices with their work along the other, each in the order in which it is known. */
export function axesOf(results) {
  const place = (link) => (LINK_ORDER.includes(link) ? LINK_ORDER.indexOf(link) : LINK_ORDER.length);
  const links = [...new Set(results.map(({ scenario }) => scenario.link))].sort(
    (a, b) => place(a) - place(b),
  );
  const rows = [...new Set(results.map(({ scenario }) => rowOf(scenario)))];
  return { links, rows };
}

export const rowOf = (scenario) => nameOf({ ...scenario, link: '' });
