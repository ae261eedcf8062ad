/** Helper threads of the kernels in Node. */
import { Worker } from 'node:worker_threads';
import type { StartThread } from '../threads.ts';

/** What a helper runs; a text, so that no bundler or loader has to find a file. */
const SCRIPT = `
const { parentPort, workerData } = require('node:worker_threads');
const { module, memory, block, thread, epoch } = workerData;
WebAssembly.instantiate(module, { env: { memory } }).then(({ exports }) => {
  parentPort.postMessage('ready');
  exports.serve(block, thread, epoch);
});
`;

export const startNodeThread: StartThread = (start) => {
  const worker = new Worker(SCRIPT, { eval: true, workerData: start });
  // It serves runs and never ends by itself: the process must not wait for it.
  worker.unref();
  return {
    ready: new Promise((resolve, reject) => {
      worker.once('message', () => resolve());
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('the thread ended')));
    }),
    stop: () => void worker.terminate(),
  };
};
