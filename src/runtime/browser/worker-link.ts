/** The only importer of comlink: both ends of the boundary between page and worker. */
import { type Endpoint, expose, proxy, type Remote, releaseProxy, transfer, wrap } from 'comlink';
import type { TensorMap } from '../../core/tensor.ts';
import { type LaneAnswer, type LentManifest, type Outcome, outcome, type WorkerApi } from './worker-api.ts';

export type RemoteWorker = Remote<WorkerApi>;

/**
 * Offers the host to the page, through the worker's own port unless another is given. Tensors that come
 * of runs are moved, not copied.
 */
export function exposeHost(host: WorkerApi, port?: Endpoint): void {
  expose(
    {
      ...host,
      run: async (...given: Parameters<WorkerApi['run']>) =>
        movedOutcome(await host.run(...given), (value) => value.outputs),
      lexicon: async () => {
        const result = await host.lexicon();
        if ('error' in result) return result;
        const { units, ends, silent } = result.value;
        return transfer(result, [units.buffer, ends.buffer, silent.buffer]);
      },
      laneForward: async (...given: Parameters<WorkerApi['laneForward']>) =>
        movedAnswer(await host.laneForward(...given), (value) => value.tensors),
      laneReadState: async (...given: Parameters<WorkerApi['laneReadState']>) =>
        movedAnswer(await host.laneReadState(...given), (value) => value),
    },
    port,
  );
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

/** What the page fetches, for the worker to wait for; moved to the first that asks. */
export function lendManifest(manifest: Promise<Uint8Array<ArrayBuffer>>): LentManifest {
  return proxy(async () => {
    const result = await outcome(() => manifest);
    return 'error' in result ? result : transfer(result, [result.value.buffer]);
  });
}

function movedOutcome<T>(result: Outcome<T>, tensors: (value: T) => TensorMap): Outcome<T> {
  return 'error' in result ? result : transfer(result, buffersOf(tensors(result.value)));
}

function movedAnswer<T>(answer: LaneAnswer<T>, tensors: (value: T) => TensorMap): LaneAnswer<T> {
  const { outcome } = answer;
  return 'error' in outcome ? answer : transfer(answer, buffersOf(tensors(outcome.value)));
}

function buffersOf(tensors: TensorMap): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { bytes } of Object.values(tensors)) {
    const whole = bytes.byteLength === bytes.buffer.byteLength;
    // A view of a larger buffer would take its neighbours along; shared memory cannot be moved.
    if (whole && bytes.buffer instanceof ArrayBuffer) buffers.add(bytes.buffer);
  }
  return [...buffers];
}
