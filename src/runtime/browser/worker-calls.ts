/**
 * Calls to a worker that cannot hang. comlink leaves the calls to a dead worker pending for ever, so each
 * is raced against the worker's end.
 */
import { IsthmusError, throwIfAborted } from '../../errors.ts';
import type { LoopPass } from '../lane.ts';
import { type Outcome, unwrap } from './worker-api.ts';
import { callbackProxy, connectWorker, disconnectWorker, type RemoteWorker } from './worker-link.ts';

/** Calls to one worker; all of them fail when it ends. */
export class WorkerCalls {
  readonly ended: Promise<IsthmusError>;
  readonly #worker: Worker;
  readonly #remote: RemoteWorker;
  #end: (reason: IsthmusError) => void = () => undefined;
  #reason: IsthmusError | undefined;
  /** Fails one call each. */
  readonly #pending = new Set<(reason: IsthmusError) => void>();
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

  get isOver(): boolean {
    return this.#reason !== undefined;
  }

  end(reason: IsthmusError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#end(reason);
    for (const lost of this.#pending) lost(reason);
    disconnectWorker(this.#remote);
    this.#worker.terminate();
  }

  async call<T>(work: (remote: RemoteWorker) => Promise<Outcome<T>>): Promise<T> {
    if (this.#reason !== undefined) throw this.#reason;
    let lost: (reason: IsthmusError) => void = () => undefined;
    const ending = new Promise<never>((_, reject) => {
      lost = reject;
    });
    // Not a reaction to `ended`: a long text would leave one behind for each of its tokens.
    this.#pending.add(lost);
    try {
      return unwrap(await Promise.race([work(this.#remote), ending]));
    } finally {
      this.#pending.delete(lost);
    }
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

/**
 * Runs work that tells tokens as they are made. They travel on a port of their own: the last ones may
 * come after the result, which has them all, and are then late.
 */
export function withTokens<T extends { readonly tokens: readonly number[] }>(
  tell: (token: number) => void,
  work: (onToken: (token: number) => void) => Promise<T>,
): Promise<T> {
  const late = (tokens: readonly number[]): void => {
    for (const token of tokens) tell(token);
  };
  return untilOver({ tell, countOf: () => 1, late }, work);
}

/** The same of a lane's loop, pass by pass. What passes took that come late is not known. */
export function withPasses<T extends { readonly tokens: readonly number[] }>(
  tell: (pass: LoopPass) => void,
  work: (onPass: (pass: LoopPass) => void) => Promise<T>,
): Promise<T> {
  const late = (tokens: readonly number[]): void => tell({ tokens, rows: 0, ms: 0 });
  return untilOver({ tell, countOf: ({ tokens }) => tokens.length, late }, work);
}

interface Listener<Heard> {
  readonly tell: (heard: Heard) => void;
  /** Tokens in it. */
  readonly countOf: (heard: Heard) => number;
  readonly late: (tokens: readonly number[]) => void;
}

async function untilOver<Heard, T extends { readonly tokens: readonly number[] }>(
  { tell, countOf, late }: Listener<Heard>,
  work: (onHeard: (heard: Heard) => void) => Promise<T>,
): Promise<T> {
  let told = 0;
  let over = false;
  const onHeard = callbackProxy((heard: Heard) => {
    if (over) return;
    told += countOf(heard);
    tell(heard);
  });
  try {
    const result = await work(onHeard);
    over = true;
    const untold = result.tokens.slice(told);
    if (untold.length > 0) late(untold);
    return result;
  } finally {
    over = true;
  }
}
