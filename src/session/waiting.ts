/** Waiting, and not waiting, for work. */
import { isIsthmusError } from '../errors.ts';

/** Work that no one waits for: its failures show in the state that requests read. */
export function inBackground(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    if (!isIsthmusError(error)) throw error;
  });
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
