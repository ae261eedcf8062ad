/** Processor time of a request at both ends, beside its own figures. */
import { startProcessorClock } from '../setup/processor-time.mjs';

/**
 * @param {{ clock: () => () => number | undefined, rest: () => Promise<void> }} device
 * @param {number} endpointPid
 * @param {boolean} isShared others use the endpoint as well: what it spends is not this request's
 */
export function timedBy(device, endpointPid, isShared) {
  return async (work) => {
    const client = device.clock();
    const endpoint = startProcessorClock(endpointPid);
    const run = await work();
    if (run === undefined) return undefined;
    // The plan that was stopped is part of what the request cost.
    if (run.isHedged) await device.rest();
    const endpointCpuMs = isShared ? undefined : endpoint();
    return { ...run, clientCpuMs: client(), endpointCpuMs };
  };
}
