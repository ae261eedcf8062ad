/** The worker entry: exposes a runner, or helps one; nothing else. */
import { createWorkerHost } from '../src/runtime/browser/worker-host.ts';
import { exposeHost } from '../src/runtime/browser/worker-link.ts';
import { isHelper, serveAsHelper } from '../src/runtime/rows/browser/helper-worker.ts';

if (isHelper()) serveAsHelper();
else exposeHost(createWorkerHost());
