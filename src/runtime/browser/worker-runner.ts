/** The page's side of the worker: a span runner whose calls cannot hang. */
import type { Segment } from '../../core/span.ts';
import { IsthmusError } from '../../errors.ts';
import type { Lane } from '../lane.ts';
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
import type { Words } from '../words.ts';
import { openLaneProxy } from './lane-proxy.ts';
import type { Opened, OpenRequest } from './worker-api.ts';
import { WorkerCalls, withTokens } from './worker-calls.ts';
import { callbackProxy, lendManifest } from './worker-link.ts';

/** Ms that a worker gets to free what it holds before it is ended. */
const CLOSE_GRACE_MS = 500;

export interface WorkerRunnerOptions {
  readonly signal?: AbortSignal;
  /** Of the package, as it comes to the page. Taken by the worker. */
  readonly manifest?: Promise<Uint8Array<ArrayBuffer>>;
}

export interface WorkerRunner extends DeviceRunner {
  readonly opened: Opened;
}

/**
 * Opens a package in `worker`; its runtime starts when it is asked to, or has something to run. Throws `worker-lost`,
 * and what opening a package throws.
 */
export async function openWorkerRunner(
  worker: Worker,
  request: OpenRequest,
  options: WorkerRunnerOptions = {},
): Promise<WorkerRunner> {
  const calls = new WorkerCalls(worker);
  try {
    const opened = await calls.job(options.signal, (remote, job) =>
      remote.open(request, job, options.manifest && lendManifest(options.manifest)),
    );
    return new RemoteRunner(calls, opened, request.provider);
  } catch (error) {
    calls.end(new IsthmusError('closed', 'the worker was ended because it could not open'));
    throw error;
  }
}

class RemoteRunner implements WorkerRunner {
  readonly provider: ExecutionProvider;
  readonly threads: number;
  readonly opened: Opened;
  readonly ended: Promise<IsthmusError>;
  readonly words: Words;
  readonly #calls: WorkerCalls;

  constructor(calls: WorkerCalls, opened: Opened, provider: ExecutionProvider) {
    this.#calls = calls;
    this.opened = opened;
    this.provider = provider;
    this.threads = opened.threads;
    this.ended = calls.ended;
    this.words = {
      lexicon: () => calls.call((remote) => remote.lexicon()),
      encode: (text, special) => calls.call((remote) => remote.encode(text, special)),
      chat: (messages) => calls.call((remote) => remote.chat(messages)),
    };
  }

  start(): Promise<void> {
    return this.#calls.call((remote) => remote.start());
  }

  fetchFiles(paths: readonly string[], options: LoadOptions = {}): Promise<void> {
    const progress = callbackProxy(options.onProgress);
    return this.#calls.job(options.signal, (remote, job) => remote.fetchFiles(paths, job, progress));
  }

  missingBytes(paths: readonly string[]): Promise<readonly number[]> {
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

  generate(request: GenerateRequest, options: GenerateOptions): Promise<GenerateResult> {
    return withTokens(options.onToken, (onToken) =>
      this.#calls.job(options.signal, (remote, job) => remote.generate(request, job, onToken)),
    );
  }

  openLane(): Promise<Lane> {
    return openLaneProxy(this.#calls, this.opened.manifest);
  }

  async close(): Promise<void> {
    const grace = new Promise((resolve) => setTimeout(resolve, CLOSE_GRACE_MS));
    // Ending the worker is what frees WASM memory; closing first is only tidy.
    await Promise.race([this.#calls.call((remote) => remote.close()).catch(() => undefined), grace]);
    this.#calls.end(new IsthmusError('closed', 'the runner was closed'));
  }
}
