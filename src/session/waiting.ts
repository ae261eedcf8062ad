/** Waiting, and not waiting, for work. */
import { IsthmusError, isIsthmusError } from '../errors.ts';

/** Work that no one waits for: its failures show in the state that requests read. */
export function inBackground(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    if (!isIsthmusError(error)) throw error;
  });
}

/** `work` on each, in order, at most so many at once. What fails is thrown when all that had begun has ended. */
export async function eachOf<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  let isFailed = false;
  const lane = async (): Promise<void> => {
    for (const item of left) {
      if (isFailed) return;
      try {
        await work(item);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, lane));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
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
