/** The only importer of comlink: both ends of the boundary between page and worker. */
import { expose, proxy, type Remote, releaseProxy, transfer, wrap } from 'comlink';
import type { RunResult } from '../runner.ts';
import type { Outcome, WorkerApi } from './worker-api.ts';

export type RemoteWorker = Remote<WorkerApi>;

/** Offers the host to the page. Results of runs are moved, not copied. */
export function exposeHost(host: WorkerApi): void {
  expose({
    ...host,
    run: async (request: Parameters<WorkerApi['run']>[0]) => moved(await host.run(request)),
  });
}

export function connectWorker(worker: Worker): RemoteWorker {
  return wrap<WorkerApi>(worker);
}

export function disconnectWorker(remote: RemoteWorker): void {
  remote[releaseProxy]();
}

/** A callback that the worker can call; without one, a proxy to nothing is still needed. */
export function callbackProxy<T extends (...args: never[]) => void>(callback: T | undefined): T {
  return proxy(callback ?? ((() => undefined) as unknown as T));
}

function moved(result: Outcome<RunResult>): Outcome<RunResult> {
  if ('error' in result) return result;
  const buffers = new Set<ArrayBuffer>();
  for (const { bytes } of Object.values(result.value.outputs)) {
    const whole = bytes.byteLength === bytes.buffer.byteLength;
    // A view of a larger buffer would take its neighbours along; shared memory cannot be moved.
    if (whole && bytes.buffer instanceof ArrayBuffer) buffers.add(bytes.buffer);
  }
  return transfer(result, [...buffers]);
}
