/** The contract on the native runner, on one behind a thread, and on the tests' own device. */
import { existsSync } from 'node:fs';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { spanRunnerContract } from '../contracts/span-runner.ts';
import { DeviceFiles, NodeDevice } from '../fixtures/node-device.ts';

spanRunnerContract('the native runner', (pkg, source) => createNodeRunner(pkg.manifest, source));

// What sessions are tested on must itself behave like a runner.
spanRunnerContract("the tests' device", (pkg, source) => new NodeDevice(new DeviceFiles({ ...pkg, source })));

const built = new URL('../../dist/src/endpoint/worker/start-worker.js', import.meta.url);
if (existsSync(built)) {
  const { startWorkerRunner }: typeof import('../../src/endpoint/worker/start-worker.ts') = await import(
    /* @vite-ignore */ built.href
  );
  spanRunnerContract("the endpoint's thread", (pkg, source) =>
    startWorkerRunner(pkg.manifest, source, { threads: 1 }),
  );
} else {
  console.info('the runner in a thread is not tested: there is no build of the library in dist/');
}
