/**
 * When to look again at a device that no request runs on: it may have cooled down, or another tab may have
 * closed, and nothing else would tell. Pure.
 */

/** What ran here a few seconds ago has told how fast the device is. */
export const RECHECK_AFTER_MS = 10_000;

/** Unseen for longer it is looked at without a quiet: who asks without end must not be stuck with an old belief. */
export const RECHECK_STALE_MS = 2 * RECHECK_AFTER_MS;

/** Share of time that looking may take. */
export const MAX_RECHECK_SHARE = 0.02;

/** Quiet behind a request before the device is looked at: who asks twice in a row does not wait for it. */
export const RECHECK_QUIET_MS = 500;

export interface DeviceWatch {
  /** Since anything was measured on the device. */
  readonly sinceSeenMs: number;
  /** Since the latest check began; `Infinity` before the first. */
  readonly sinceCheckMs: number;
  /** What a check took, or is predicted to take. */
  readonly checkMs: number;
}

/** Ms until the next look: at least the quiet that is waited for, and 0 for one that waits no longer. */
export function recheckInMs({ sinceSeenMs, sinceCheckMs, checkMs }: DeviceWatch): number {
  const affordable = checkMs / MAX_RECHECK_SHARE - sinceCheckMs;
  const quiet = sinceSeenMs >= RECHECK_STALE_MS ? 0 : RECHECK_QUIET_MS;
  return Math.max(quiet, RECHECK_AFTER_MS - sinceSeenMs, affordable);
}
