import { type IsthmusError, isIsthmusError } from '../../src/errors.ts';

/** The error of ours that `run` throws; anything else that happens is an error of the test. */
export function failureOf(run: () => unknown): IsthmusError {
  try {
    run();
  } catch (error) {
    if (isIsthmusError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
