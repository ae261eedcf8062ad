/** A runner that lives in a worker. The worker's death rejects all that is pending with `worker-lost`. */
import type { Segment } from '../../core/span.ts';
import { fromWireError, IsthmusError, throwIfAborted, toWireError } from '../../errors.ts';
import type {
  ExecutionProvider,
  LoadOptions,
  PackageSource,
  RunRequest,
  RunResult,
  StateId,
} from '../../runtime/runner.ts';
import type { LaneRunner, PlacedLane } from '../lane-runner.ts';
import type { CallOptions } from './call-worker.ts';
import { compact } from './compact.ts';
import type { Call, CallName, Calls, FromWorker, LaneId, Port, ToWorker } from './messages.ts';
import { RemotePlacedLane } from './remote-placed-lane.ts';

export interface RemoteRunnerOptions {
  readonly port: Port<ToWorker, FromWorker>;
  readonly source: PackageSource;
  readonly threads: number;
  /** Ends the worker for good. */
  readonly end: () => Promise<void>;
}

interface Pending extends Pick<CallOptions, 'onProgress' | 'onPass'> {
  readonly resolve: (value: Calls[CallName]['yields']) => void;
  readonly reject: (error: IsthmusError) => void;
}

export class RemoteRunner implements LaneRunner {
  readonly provider: ExecutionProvider = 'cpu';
  readonly threads: number;
  readonly #options: RemoteRunnerOptions;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #nextLane: LaneId = 1;
  #closed = false;
  /** Why nothing can be asked any more. */
  #ended: IsthmusError | undefined;

  constructor(options: RemoteRunnerOptions) {
    this.#options = options;
    this.threads = options.threads;
    options.port.on('message', (message) => this.#receive(message));
  }

  /** To be called when the worker died; calls from now on reject with `worker-lost` too. */
  lost(reason: string): void {
    this.#end(new IsthmusError('worker-lost', `the endpoint's worker ended: ${reason}`));
  }

  async load(segment: Segment, options: LoadOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    await this.#call('load', segment, options);
  }

  async unload(segment: Segment): Promise<void> {
    await this.#call('unload', segment);
  }

  openState(): Promise<StateId> {
    return this.#call('openState', undefined);
  }

  async closeState(state: StateId): Promise<void> {
    await this.#call('closeState', state);
  }

  run(request: RunRequest): Promise<RunResult> {
    const { tensors, transfer } = compact(request.feeds);
    return this.#call('run', { ...request, feeds: tensors }, { transfer });
  }

  openLane(): PlacedLane {
    const lane = this.#nextLane;
    this.#nextLane += 1;
    return new RemotePlacedLane(lane, (name, argument, options) => this.#call(name, argument, options));
  }

  /** Frees the sessions in order where the worker still answers, then ends it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const isAlive = this.#ended === undefined;
    // Who still asks one that was lost is told so, whoever noticed it first.
    this.#end(new IsthmusError('closed', 'the runner was closed'));
    if (isAlive) await this.#post('close', undefined).catch(() => undefined);
    await this.#options.end();
  }

  async #call<Name extends CallName>(
    name: Name,
    argument: Calls[Name]['takes'],
    options: CallOptions = {},
  ): Promise<Calls[Name]['yields']> {
    if (this.#ended !== undefined) throw this.#ended;
    const { signal } = options;
    const id = this.#nextId;
    const answer = this.#post(name, argument, options);
    if (signal === undefined) return answer;
    const abort = (): void => this.#options.port.postMessage({ kind: 'abort', id }, []);
    // Also where it fired before: the call decides what that means.
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    try {
      return await answer;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  #post<Name extends CallName>(
    name: Name,
    argument: Calls[Name]['takes'],
    { transfer = [], onProgress, onPass }: CallOptions = {},
  ): Promise<Calls[Name]['yields']> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      // The worker answers a call with what `Calls` says of it: both ends are built from that table.
      const settle = resolve as (value: Calls[CallName]['yields']) => void;
      this.#pending.set(id, {
        resolve: settle,
        reject,
        ...(onProgress && { onProgress }),
        ...(onPass && { onPass }),
      });
      this.#options.port.postMessage({ kind: 'call', id, name, argument } as Call, transfer);
    });
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'read') {
      this.#serveFile(message.id, message.path);
      return;
    }
    const pending = this.#pending.get(message.id);
    if (message.kind === 'progress') {
      pending?.onProgress?.(message.done, message.total);
      return;
    }
    if (message.kind === 'pass') {
      pending?.onPass?.(message.pass);
      return;
    }
    this.#pending.delete(message.id);
    if (message.kind === 'result') pending?.resolve(message.value);
    else pending?.reject(fromWireError(message.error));
  }

  #serveFile(id: number, path: string): void {
    const { port, source } = this.#options;
    source
      .read(path)
      // Copied, not transferred: the source may keep what it read.
      .then((bytes) => port.postMessage({ kind: 'file', id, bytes }, []))
      .catch((error: unknown) => port.postMessage({ kind: 'no-file', id, error: toWireError(error) }, []));
  }

  #end(reason: IsthmusError): void {
    this.#ended ??= reason;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(reason);
  }
}
