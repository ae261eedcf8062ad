/** The worker entry: exposes a runner, nothing else. */
import { createWorkerHost } from '../src/runtime/browser/worker-host.ts';
import { exposeHost } from '../src/runtime/browser/worker-link.ts';

exposeHost(createWorkerHost());
