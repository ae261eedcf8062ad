/**
 * When to look again at a device that no request runs on: it may have cooled down, or another tab may have
 * closed, and nothing else would tell. Pure.
 */

/** What ran here a few seconds ago has told how fast the device is. */
export const RECHECK_AFTER_MS = 10_000;

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

/** Ms until the next look, at least the quiet that is waited for. */
export function recheckInMs({ sinceSeenMs, sinceCheckMs, checkMs }: DeviceWatch): number {
  const affordable = checkMs / MAX_RECHECK_SHARE - sinceCheckMs;
  return Math.max(RECHECK_QUIET_MS, RECHECK_AFTER_MS - sinceSeenMs, affordable);
}
