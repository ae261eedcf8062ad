/**
 * When to look again at a device that no request runs on: it may have cooled down, or another tab may have
 * closed, and nothing else would tell. Pure.
 *
 * A look runs in a quiet, or beside a request that needs the endpoint alone: who asks without end must not be stuck
 * with an old belief. Looks that held up the next request instead made 0.2 to 0.3% of simulated ones late by 5%.
 */

/** What ran here a few seconds ago has told how fast the device is. */
export const RECHECK_AFTER_MS = 10_000;

/** Share of time that looking may take. */
export const MAX_RECHECK_SHARE = 0.02;

/**
 * Requests that ran elsewhere after which a device is looked at beside the next, whatever the clock says: ten of them may
 * be over in some seconds. Nobody waits for it, so that it may take this share of the time.
 */
export const LOOK_AFTER_REQUESTS = 4;
export const MAX_RUN_SHARE = 0.1;

/** Quiet behind a request before the device is looked at: who asks twice in a row does not wait for it. */
export const RECHECK_QUIET_MS = 500;

export interface DeviceWatch {
  /** Since anything was measured on the device. */
  readonly sinceSeenMs: number;
  /** Since the latest check began; `Infinity` before the first. */
  readonly sinceCheckMs: number;
  /** What a check took, or is predicted to take. */
  readonly checkMs: number;
  /** Nothing that ran since the session opened has borne its first costs out (`first-costs`). */
  readonly isDoubted: boolean;
  /** Requests that ran elsewhere since the device was seen, in a row; default 0. */
  readonly requests?: number;
}

/** Of a request, the device's part below which it tells nothing of how fast the device is for all of one. */
export const TELLING_PART = 1 / 4;

/** Whether a plan leaves the device idle most of the time: behind a cut near the input it becomes faster unseen, too. */
export function leavesDeviceIdle({
  kind,
  prediction,
}: {
  readonly kind: 'local' | 'split' | 'remote';
  readonly prediction: { readonly deviceMs: number; readonly totalMs: number };
}): boolean {
  return kind === 'remote' || (kind === 'split' && prediction.deviceMs < TELLING_PART * prediction.totalMs);
}

/** Ms until the next look is due. */
export function lookDueInMs({ sinceSeenMs, sinceCheckMs, checkMs, isDoubted }: DeviceWatch): number {
  const affordable = checkMs / MAX_RECHECK_SHARE - sinceCheckMs;
  // What was measured a moment ago, but while the session opened, tells little.
  return Math.max(0, isDoubted ? 0 : RECHECK_AFTER_MS - sinceSeenMs, affordable);
}

export function isLookDue(watch: DeviceWatch): boolean {
  const { requests = 0, sinceCheckMs, checkMs } = watch;
  const isRun = requests >= LOOK_AFTER_REQUESTS && sinceCheckMs >= checkMs / MAX_RUN_SHARE;
  return isRun || lookDueInMs(watch) === 0;
}

/** Ms behind a request until the next look: at least the quiet that is waited for. */
export function recheckInMs(watch: DeviceWatch): number {
  return Math.max(RECHECK_QUIET_MS, lookDueInMs(watch));
}
