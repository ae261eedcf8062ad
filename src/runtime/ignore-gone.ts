/** Freeing things in a runner that may be gone. */
import { type ErrorCode, isIsthmusError } from '../errors.ts';

const GONE: readonly ErrorCode[] = ['worker-lost', 'closed'];

/** For `catch`: with the runner gone, so is what was to be freed in it. Throws any other failure again. */
export function ignoreGone(error: unknown): void {
  if (!isIsthmusError(error) || !GONE.includes(error.code)) throw error;
}
