/** A runner that lives in a worker. The worker's death rejects all that is pending with `worker-lost`. */
import type { Segment } from '../../core/span.ts';
import { fromWireError, IsthmusError, throwIfAborted, toWireError } from '../../errors.ts';
import type {
  ExecutionProvider,
  LoadOptions,
  PackageSource,
  RunRequest,
  RunResult,
  SpanRunner,
  StateId,
} from '../../runtime/runner.ts';
import { compact } from './compact.ts';
import type { Call, CallName, Calls, FromWorker, Port, ToWorker } from './messages.ts';

export interface RemoteRunnerOptions {
  readonly port: Port<ToWorker, FromWorker>;
  readonly source: PackageSource;
  readonly threads: number;
  /** Ends the worker for good. */
  readonly end: () => Promise<void>;
}

interface Pending {
  readonly resolve: (value: Calls[CallName]['yields']) => void;
  readonly reject: (error: IsthmusError) => void;
  readonly onProgress?: LoadOptions['onProgress'];
}

export class RemoteRunner implements SpanRunner {
  readonly provider: ExecutionProvider = 'cpu';
  readonly threads: number;
  readonly #options: RemoteRunnerOptions;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
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
    const id = this.#nextId;
    const abort = (): void => this.#options.port.postMessage({ kind: 'abort', id }, []);
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      await this.#call('load', segment, [], options.onProgress);
    } finally {
      options.signal?.removeEventListener('abort', abort);
    }
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
    return this.#call('run', { ...request, feeds: tensors }, transfer);
  }

  /** Frees the sessions in order where the worker still answers, then ends it. */
  async close(): Promise<void> {
    if (this.#ended?.code === 'closed') return;
    const isAlive = this.#ended === undefined;
    this.#ended = undefined;
    this.#end(new IsthmusError('closed', 'the runner was closed'));
    if (isAlive) await this.#post('close', undefined).catch(() => undefined);
    await this.#options.end();
  }

  #call<Name extends CallName>(
    name: Name,
    argument: Calls[Name]['takes'],
    transfer: readonly ArrayBuffer[] = [],
    onProgress?: LoadOptions['onProgress'],
  ): Promise<Calls[Name]['yields']> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return this.#post(name, argument, transfer, onProgress);
  }

  #post<Name extends CallName>(
    name: Name,
    argument: Calls[Name]['takes'],
    transfer: readonly ArrayBuffer[] = [],
    onProgress?: LoadOptions['onProgress'],
  ): Promise<Calls[Name]['yields']> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      // The worker answers a call with what `Calls` says of it: both ends are built from that table.
      const settle = resolve as (value: Calls[CallName]['yields']) => void;
      this.#pending.set(id, { resolve: settle, reject, ...(onProgress && { onProgress }) });
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
