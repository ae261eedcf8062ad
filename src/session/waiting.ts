/** Waiting, and not waiting, for work. */
import { IsthmusError, isIsthmusError } from '../errors.ts';

/** Work that no one waits for: its failures show in the state that requests read. */
export function inBackground(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    if (!isIsthmusError(error)) throw error;
  });
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves when the signal fires. */
export function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** `work`, or what `reason` makes as soon as the signal fires. The work itself goes on. */
export function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  reason: (signal: AbortSignal) => IsthmusError = aborted,
): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(reason(signal));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function aborted(signal: AbortSignal): IsthmusError {
  return new IsthmusError('aborted', 'the work was aborted', { cause: signal.reason });
}
