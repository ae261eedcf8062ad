/** Time as an argument: pure code and tests never read the wall clock themselves. */
export interface Clock {
  /** Milliseconds from an arbitrary origin, monotonic. */
  now(): number;
  /** Milliseconds since the Unix epoch; only for ages of stored things. */
  epoch(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
};
