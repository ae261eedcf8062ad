/** Starts a thread for a runner: a native session blocks the thread it runs on, and that must not be ours. */
import { Worker } from 'node:worker_threads';
import type { Manifest } from '../../package/manifest.ts';
import type { PackageSource, SpanRunner } from '../../runtime/runner.ts';
import type { ToWorker, WorkerSetup } from './messages.ts';
import { RemoteRunner } from './remote-runner.ts';

/** False where the sources run as they are: Node cannot start a thread from TypeScript. */
export const CAN_START_WORKER = import.meta.url.endsWith('.js');

/** Beside this file and, like it, compiled or not. */
const ENTRY = new URL(import.meta.url.replace(/start-worker(\.[jt]s)$/, 'worker-entry$1'));

export interface WorkerRunnerOptions {
  /** Threads of each session. */
  readonly threads: number;
  /** The compiled entry; default: the one beside this file. */
  readonly entry?: URL;
}

export function startWorkerRunner(
  manifest: Manifest,
  source: PackageSource,
  options: WorkerRunnerOptions,
): SpanRunner {
  const { threads, entry = ENTRY } = options;
  const setup: WorkerSetup = { manifest, threads };
  const worker = new Worker(entry, { workerData: setup });
  const runner = new RemoteRunner({
    port: {
      postMessage: (message: ToWorker, transfer) => worker.postMessage(message, transfer),
      on: (event, handler) => worker.on(event, handler),
    },
    source,
    threads,
    end: async () => {
      await worker.terminate();
    },
  });
  worker.on('error', (error) => runner.lost(error.message));
  worker.on('messageerror', (error) => runner.lost(error.message));
  worker.on('exit', (code) => runner.lost(`it exited with code ${code}`));
  return runner;
}
