/**
 * The page's side of the worker: a span runner whose calls cannot hang. comlink leaves the calls to a
 * dead worker pending for ever, so each call is raced against the worker's end.
 */
import type { Segment } from '../../core/span.ts';
import { IsthmusError, throwIfAborted } from '../../errors.ts';
import type {
  DeviceRunner,
  ExecutionProvider,
  GenerateOptions,
  GenerateRequest,
  GenerateResult,
  LoadOptions,
  RunRequest,
  RunResult,
  StateId,
} from '../runner.ts';
import { type Opened, type OpenRequest, type Outcome, unwrap } from './worker-api.ts';
import { callbackProxy, connectWorker, disconnectWorker, type RemoteWorker } from './worker-link.ts';

/** Ms that a worker gets to free what it holds before it is ended. */
const CLOSE_GRACE_MS = 500;

export interface WorkerRunner extends DeviceRunner {
  readonly opened: Opened;
}

/**
 * Starts a runner in `worker`. Throws `worker-lost`, `no-provider`, and what opening a package throws.
 */
export async function openWorkerRunner(
  worker: Worker,
  request: OpenRequest,
  options: { readonly signal?: AbortSignal } = {},
): Promise<WorkerRunner> {
  const calls = new WorkerCalls(worker);
  try {
    const opened = await calls.job(options.signal, (remote, job) => remote.open(request, job));
    return new RemoteRunner(calls, opened, request.provider);
  } catch (error) {
    calls.end(new IsthmusError('closed', 'the worker was ended because it could not open'));
    throw error;
  }
}

/** Calls to one worker; all of them fail when it ends. */
class WorkerCalls {
  readonly ended: Promise<IsthmusError>;
  readonly #worker: Worker;
  readonly #remote: RemoteWorker;
  #end: (reason: IsthmusError) => void = () => undefined;
  #reason: IsthmusError | undefined;
  #nextJob = 1;

  constructor(worker: Worker) {
    this.#worker = worker;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.end(
        new IsthmusError(
          'worker-lost',
          `the worker failed: ${event.message || 'its script could not be loaded'}`,
        ),
      );
    });
    worker.addEventListener('messageerror', () => {
      this.end(new IsthmusError('worker-lost', 'the worker sent something that cannot be read'));
    });
    this.#remote = connectWorker(worker);
  }

  end(reason: IsthmusError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#end(reason);
    disconnectWorker(this.#remote);
    this.#worker.terminate();
  }

  async call<T>(work: (remote: RemoteWorker) => Promise<Outcome<T>>): Promise<T> {
    if (this.#reason !== undefined) throw this.#reason;
    const lost = this.ended.then((reason) => {
      throw reason;
    });
    return unwrap(await Promise.race([work(this.#remote), lost]));
  }

  /** A call that the signal can end, in the worker too. */
  async job<T>(
    signal: AbortSignal | undefined,
    work: (remote: RemoteWorker, job: number) => Promise<Outcome<T>>,
  ): Promise<T> {
    throwIfAborted(signal);
    const job = this.#nextJob;
    this.#nextJob += 1;
    const cancel = (): void => void this.#remote.cancel(job);
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await this.call((remote) => work(remote, job));
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }
}

class RemoteRunner implements WorkerRunner {
  readonly provider: ExecutionProvider;
  readonly threads: number;
  readonly opened: Opened;
  readonly ended: Promise<IsthmusError>;
  readonly #calls: WorkerCalls;

  constructor(calls: WorkerCalls, opened: Opened, provider: ExecutionProvider) {
    this.#calls = calls;
    this.opened = opened;
    this.provider = provider;
    this.threads = opened.threads;
    this.ended = calls.ended;
  }

  fetchFiles(paths: readonly string[], options: LoadOptions = {}): Promise<void> {
    const progress = callbackProxy(options.onProgress);
    return this.#calls.job(options.signal, (remote, job) => remote.fetchFiles(paths, job, progress));
  }

  missingBytes(paths: readonly string[]): Promise<number> {
    return this.#calls.call((remote) => remote.missingBytes(paths));
  }

  readFile(path: string, options: LoadOptions = {}): Promise<Uint8Array> {
    return this.#calls.job(options.signal, (remote, job) => remote.readFile(path, job));
  }

  load(segment: Segment, options: LoadOptions = {}): Promise<void> {
    const progress = callbackProxy(options.onProgress);
    return this.#calls.job(options.signal, (remote, job) => remote.load(segment, job, progress));
  }

  unload(segment: Segment): Promise<void> {
    return this.#calls.call((remote) => remote.unload(segment));
  }

  openState(): Promise<StateId> {
    return this.#calls.call((remote) => remote.openState());
  }

  closeState(state: StateId): Promise<void> {
    return this.#calls.call((remote) => remote.closeState(state));
  }

  run(request: RunRequest): Promise<RunResult> {
    return this.#calls.call((remote) => remote.run(request));
  }

  async generate(request: GenerateRequest, options: GenerateOptions): Promise<GenerateResult> {
    let told = 0;
    let over = false;
    // Tokens travel on a port of their own: the last ones may come after the result, and are then late.
    const onToken = callbackProxy((token: number) => {
      if (over) return;
      told += 1;
      options.onToken(token);
    });
    try {
      const result = await this.#calls.job(options.signal, (remote, job) =>
        remote.generate(request, job, onToken),
      );
      over = true;
      for (const token of result.tokens.slice(told)) options.onToken(token);
      return result;
    } finally {
      over = true;
    }
  }

  async close(): Promise<void> {
    const grace = new Promise((resolve) => setTimeout(resolve, CLOSE_GRACE_MS));
    // Ending the worker is what frees WASM memory; closing first is only tidy.
    await Promise.race([this.#calls.call((remote) => remote.close()).catch(() => undefined), grace]);
    this.#calls.end(new IsthmusError('closed', 'the runner was closed'));
  }
}
