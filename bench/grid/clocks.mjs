/** Processor time of a request at both ends, beside its own figures. */
import { startProcessorClock } from '../setup/processor-time.mjs';

/**
 * @param {() => () => number | undefined} clientClock of the whole browser
 * @param {number} endpointPid
 * @param {boolean} isShared others use the endpoint as well: what it spends is not this request's
 */
export function timedBy(clientClock, endpointPid, isShared) {
  return async (work) => {
    const client = clientClock();
    const endpoint = startProcessorClock(endpointPid);
    const run = await work();
    if (run === undefined) return undefined;
    const endpointCpuMs = isShared ? undefined : endpoint();
    return { ...run, clientCpuMs: client(), endpointCpuMs };
  };
}
