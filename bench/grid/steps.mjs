/** Sudden changes, each where another plan is best before it than behind it, on what was measured of this model. */
import { LINKS } from './dimensions.mjs';

const { lan, '4g': fourG } = LINKS;

/** More bytes than a narrow line carries in the time in which the device would be done. */
const NARROW = { rttMs: 2, down: 1.6, up: 0.75 };

/** A satellite's, high up (ITU-T G.114, annex A: some 260 ms one way). */
const FAR = { rttMs: 550, down: 100, up: 100 };

/**
 * Each state: `link`, `cores` (absent: all), `isLoaded`.
 * @typedef {{ link: object, cores?: number, isLoaded?: boolean }} State
 * @type {readonly { name: string, of: string, device: string, work: string, from: State, to: State }[]}
 */
export const STEPS = [
  step('bandwidth', '100 to 0.75 Mbit/s up', '1 thread', '4 s', { link: lan }, { link: NARROW }),
  step('bandwidth', '0.75 to 100 Mbit/s up', '1 thread', '4 s', { link: NARROW }, { link: lan }),
  step('RTT', '2 to 550 ms', '1 thread', '1.4 s', { link: lan }, { link: FAR }),
  step('RTT', '550 to 2 ms', '1 thread', '1.4 s', { link: FAR }, { link: lan }),
  step('device', 'all to a fifth of a core', '1 thread', '4 s', { link: fourG }, { link: fourG, cores: 0.2 }),
  step('device', 'a fifth to all of a core', '1 thread', '4 s', { link: fourG, cores: 0.2 }, { link: fourG }),
  step('load', 'idle to loaded', '1 thread', '4 s', { link: lan }, { link: lan, isLoaded: true }),
  step('load', 'loaded to idle', '1 thread', '4 s', { link: lan, isLoaded: true }, { link: lan }),
];

function step(of, how, device, work, from, to) {
  return { of, name: `${of} ${how}`, device, work, from, to };
}

/** Requests behind a step within which regret must be back, and how far. */
export const WITHIN = 10;
export const BACK_UNDER = 0.05;

/**
 * How requests behind a step went, beside plans that were measured in the new state. Pure.
 * @param {readonly { plan: string, totalMs: number, isHedged: boolean, beliefs?: object }[]} requests in order
 * @param {ReadonlyMap<string, number>} measured median ms of each plan that was forced
 * @returns {{ oracle: { plan: string, ms: number }, requests: object[], backAfter: number | null }} `planRegret`: by the
 *   medians, of the plan alone; `regret`: by the request's own time, noise and learning included; `backAfter`: the
 *   number of requests from which on the plan is as good as the best, null where it never is
 */
export function judgeStep(requests, measured) {
  const [plan, ms] = [...measured].reduce((a, b) => (b[1] < a[1] ? b : a));
  const told = requests.map(({ plan: id, totalMs, isHedged, beliefs }) => ({
    plan: id,
    ms: totalMs,
    isHedged,
    beliefs,
    regret: totalMs / ms - 1,
    planRegret: measured.has(id) ? measured.get(id) / ms - 1 : null,
  }));
  const isBad = ({ planRegret }) => planRegret === null || planRegret > BACK_UNDER;
  const backAfter = told.findLastIndex(isBad) + 1;
  return { oracle: { plan, ms }, requests: told, backAfter: backAfter >= told.length ? null : backAfter };
}
