/** A scenario's runs as one line of figures. Pure. */
import { centre, median, quantile } from '../report/statistics.mjs';

/** Of those runs that have the figure; null where none has it, so that the line says that it is lacking. */
const typical = (runs, of) => {
  const values = runs.map(of).filter((value) => value != null);
  return values.length === 0 ? null : median(values);
};

/** A processor clock ticks in 10 ms: over many runs the mean is finer than that, a median is not. */
const mean = (runs, of) => {
  const values = runs.map(of).filter((value) => value != null);
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
};

const total = ({ totalMs }) => totalMs;

/** Of each run and the one beside it, so that what comes and goes slowly on the machine is in neither. */
export const logRatios = (autoMs, toldMs) => autoMs.map((ms, index) => Math.log(ms / toldMs[index]));

/** @param {{ autos: readonly object[], tolds: readonly object[] }} own runs, in pairs */
export const logsOf = ({ autos, tolds }) => logRatios(autos.map(total), tolds.map(total));

function summaryOf({ id, runs, atLeastMs }) {
  if (runs.length === 0) return { plan: id, ms: null, atLeastMs };
  const times = runs.map(total);
  return {
    plan: id,
    ms: median(times),
    spread: [quantile(times, 0), quantile(times, 1)],
    runs: runs.length,
    clientCpuMs: mean(runs, (run) => run.clientCpuMs),
    endpointCpuMs: mean(runs, (run) => run.endpointCpuMs),
  };
}

/** Whether the planner's name for a plan is that of a forced one, which leaves the codec open. */
export const isPlan = (name, id) => name === id || name.startsWith(`${id}/`);

function believedOf({ id }, beliefs) {
  const plan = beliefs.find((one) => isPlan(one.id, id));
  return plan === undefined ? {} : { believedMs: plan.prediction.totalMs };
}

/**
 * @typedef {object} Offer
 * @property {string} id
 * @property {boolean} [isMiddle] the fixed cut in the middle
 * @property {readonly object[]} runs counted ones; none where the plan was still at it when it was stopped
 * @property {readonly object[]} autos runs of the planner's that alternated with them
 * @property {number} [atLeastMs] how long it was waited for
 */

/** Null where a plan was taken that was not forced, or not waited for. */
function choiceRegretOf(autos, forced, bestMs) {
  const times = autos.map(({ plan }) => forced.find(({ plan: id }) => isPlan(plan, id))?.ms ?? null);
  if (times.some((ms) => ms === null)) return null;
  return times.reduce((sum, ms) => sum + ms, 0) / times.length / bestMs - 1;
}

/**
 * @param {{ scenario: object, about: object, offers: readonly Offer[], settling?: readonly object[],
 *   own?: { id: string, autos: readonly object[], tolds: readonly object[] },
 *   peers?: Readonly<Record<string, readonly object[]>>, offlinePlanId?: string, beliefs?: readonly object[] }} measured
 *   `beliefs`: what the planner's session predicts of each plan in the end; `own`: its runs, and those of the one plan
 *   that it took when it was told to: what they differ by is what choosing costs, and the rest is the forced session's
 */
export function judge({
  scenario,
  about,
  offers,
  settling = [],
  own,
  peers = {},
  offlinePlanId,
  beliefs = [],
}) {
  const forced = offers.map((offer) => ({ ...summaryOf(offer), ...believedOf(offer, beliefs) }));
  const msOf = (id) => forced.find(({ plan }) => plan === id)?.ms ?? null;
  const best = forced.filter(({ ms }) => ms !== null).reduce((a, b) => (b.ms < a.ms ? b : a));
  // Those that alternated with the best plan's own: a run behind one that waited for the link finds cold cores.
  const autos = offers[forced.indexOf(best)].autos;
  const last = autos.at(-1);
  const toldMs = own === undefined ? null : msOf(own.id);
  const choosing = toldMs === null ? undefined : Math.exp(centre(logsOf(own)));
  const totalMs = choosing === undefined ? median(autos.map(total)) : choosing * toldMs;
  // The planner may take a plan that was not forced; the oracle is the best of all that was measured.
  const isOwn = choosing === undefined && totalMs < best.ms;
  const oracle = isOwn ? { plan: last.plan, ms: totalMs } : { plan: best.plan, ms: best.ms };
  const ofPlan = (id) => forced.find(({ plan }) => plan === id);
  return {
    scenario,
    ...about,
    plan: last.plan,
    chosen: offers.flatMap(({ autos: all }) => all).map(({ plan }) => plan),
    hedged: offers.flatMap(({ autos: all }) => all).filter(({ isHedged }) => isHedged).length,
    autoMs: autos.map(total),
    settling: settling.map(({ plan, totalMs: ms }) => ({ plan, ms })),
    ...(last.openMs === undefined ? {} : { openMs: typical(autos, ({ openMs }) => openMs) }),
    ms: { ttft: typical(autos, ({ ttftMs }) => ttftMs), total: totalMs },
    tokensPerSecond: typical(autos, ({ tokensPerSecond }) => tokensPerSecond),
    bytesUp: typical(autos, ({ bytesUp }) => bytesUp),
    bytesDown: typical(autos, ({ bytesDown }) => bytesDown),
    roundTrips: typical(autos, ({ roundTrips }) => roundTrips),
    clientCpuMs: mean(autos, ({ clientCpuMs }) => clientCpuMs),
    endpointCpuMs: mean(autos, ({ endpointCpuMs }) => endpointCpuMs),
    predictedMs: typical(autos, ({ predictedMs }) => predictedMs),
    oracle,
    allLocalMs: msOf('local'),
    allRemoteMs: msOf('remote'),
    allLocalClientCpuMs: ofPlan('local')?.clientCpuMs ?? null,
    allRemoteEndpointCpuMs: ofPlan('remote')?.endpointCpuMs ?? null,
    fixedMiddleMs: msOf(offers.find(({ isMiddle }) => isMiddle)?.id),
    ...(choosing === undefined
      ? {}
      : { choosing: { ratio: choosing, autoMs: own.autos.map(total), toldMs: own.tolds.map(total) } }),
    regret: Math.max(0, totalMs / oracle.ms - 1),
    // Of the choices alone: each counts what its plan took, whichever session ran it.
    choiceRegret: choiceRegretOf([...autos, ...(own?.autos ?? [])], forced, best.ms),
    peers: {
      ...(offlinePlanId === undefined
        ? {}
        : { neurosurgeon: { plan: offlinePlanId, ms: msOf(offlinePlanId) } }),
      ...Object.fromEntries(
        Object.entries(peers).map(([name, runs]) => [
          name,
          { ms: typical(runs, total), bytesUp: typical(runs, ({ bytesUp }) => bytesUp) },
        ]),
      ),
    },
    forced,
  };
}
