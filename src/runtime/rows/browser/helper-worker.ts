/**
 * Helper threads of the kernels in a page. Each is the runner's own worker script once more, under another name:
 * a script of their own would be one more file that every bundler has to be told of. Where it cannot be
 * started (no isolation, a policy, a URL that was revoked) runs are done by one thread.
 */
import { type StartThread, serveRuns, type ThreadStart } from '../threads.ts';

const HELPER_NAME = 'isthmus-kernels';

/** The part of a worker's global scope that is used; the page's types do not have it. */
interface WorkerScope {
  readonly name?: string;
  readonly location: { readonly href: string };
  readonly importScripts?: (...urls: string[]) => void;
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: MessageEvent<ThreadStart>) => void): void;
}

const scope = globalThis as unknown as WorkerScope;

/** Whether this worker was started to help; see `serveAsHelper`. */
export function isHelper(): boolean {
  return scope.name === HELPER_NAME;
}

/** Waits for what it is to serve, and serves until it is ended. */
export function serveAsHelper(): void {
  scope.addEventListener('message', ({ data }) => {
    void serveRuns(data, () => scope.postMessage('ready'));
  });
}

/** For use in the runner's worker. */
export const startHelperWorker: StartThread = (start) => {
  const worker = new Worker(scope.location.href, { name: HELPER_NAME, type: scriptType() });
  const ready = new Promise<void>((resolve, reject) => {
    worker.addEventListener('message', () => resolve(), { once: true });
    worker.addEventListener('error', () => reject(new Error('the helper did not start')), { once: true });
    worker.addEventListener('messageerror', () => reject(new Error('the helper was told nothing')));
  });
  worker.postMessage(start);
  return { ready, stop: () => worker.terminate() };
};

/** Only a classic script may call `importScripts`; a bundler decides which of the two this became. */
function scriptType(): 'classic' | 'module' {
  try {
    scope.importScripts?.();
    return scope.importScripts === undefined ? 'module' : 'classic';
  } catch {
    return 'module';
  }
}
