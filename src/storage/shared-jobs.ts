/**
 * One running job per key, however many callers wait for it. A caller that aborts leaves alone; the
 * job ends when the last one has left. Who comes while such a job winds up waits for its end and
 * begins anew, so that two jobs of one key never overlap.
 */
import { IsthmusError, throwIfAborted } from '../errors.ts';

export interface WaitOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export type Progress = (done: number, total: number) => void;

export type Work<T> = (signal: AbortSignal, progress: Progress) => Promise<T>;

interface Job<T> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  readonly waiters: Set<WaitOptions>;
  last: readonly [done: number, total: number] | undefined;
}

export class SharedJobs<T> {
  readonly #jobs = new Map<string, Job<T>>();

  /** Bytes done of the job that runs under `key`; 0 when none does. */
  done(key: string): number {
    return this.#jobs.get(key)?.last?.[0] ?? 0;
  }

  /**
   * Joins the job of `key` or starts it. `first` is true for one of the callers that get this result.
   * Rejects with `aborted` when this caller's signal fires, else as the job does.
   */
  async join(key: string, work: Work<T>, options: WaitOptions): Promise<{ value: T; first: boolean }> {
    for (;;) {
      throwIfAborted(options.signal);
      const running = this.#jobs.get(key);
      if (!running?.controller.signal.aborted) {
        return wait(running ?? this.#start(key, work), options, running === undefined);
      }
      await settled(running.promise, options.signal);
    }
  }

  #start(key: string, work: Work<T>): Job<T> {
    const controller = new AbortController();
    const waiters = new Set<WaitOptions>();
    const progress: Progress = (done, total) => {
      job.last = [done, total];
      for (const waiter of waiters) waiter.onProgress?.(done, total);
    };
    const promise = Promise.resolve()
      .then(() => work(controller.signal, progress))
      .finally(() => this.#jobs.delete(key));
    // With every waiter gone there is nobody left to hear a rejection.
    promise.catch(() => undefined);
    const job: Job<T> = { promise, controller, waiters, last: undefined };
    this.#jobs.set(key, job);
    return job;
  }
}

function wait<T>(job: Job<T>, options: WaitOptions, first: boolean): Promise<{ value: T; first: boolean }> {
  return new Promise((resolve, reject) => {
    const { signal } = options;
    // A copy: the same options object may wait twice.
    const waiter = { ...options };
    const leave = (): void => {
      job.waiters.delete(waiter);
      signal?.removeEventListener('abort', onAbort);
    };
    const onAbort = (): void => {
      leave();
      if (job.waiters.size === 0) job.controller.abort(signal?.reason);
      reject(new IsthmusError('aborted', 'the wait was aborted', { cause: signal?.reason }));
    };
    job.waiters.add(waiter);
    signal?.addEventListener('abort', onAbort);
    if (job.last) options.onProgress?.(...job.last);
    job.promise.then(
      (value) => {
        leave();
        resolve({ value, first });
      },
      (error: unknown) => {
        leave();
        reject(error);
      },
    );
  });
}

/** Resolves when `promise` has ended either way, or the signal fires. */
function settled(promise: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal?.removeEventListener('abort', done);
      resolve();
    };
    signal?.addEventListener('abort', done);
    promise.then(done, done);
  });
}
