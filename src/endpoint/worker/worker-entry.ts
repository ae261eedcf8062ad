/** What the endpoint's thread runs: a runner behind a port, nothing else. */
import { parentPort, workerData } from 'node:worker_threads';
import { createPackageRunner } from '../../runtime/node/package-runner.ts';
import type { WorkerSetup } from './messages.ts';
import { serveRunner } from './serve-runner.ts';

// Ours by construction: only `start-worker.ts` starts this file.
const { manifest, threads } = workerData as WorkerSetup;
const port = parentPort;
if (port !== null)
  serveRunner(port, manifest, (source) => createPackageRunner(manifest, source, { threads }));
