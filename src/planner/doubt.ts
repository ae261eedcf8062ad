/**
 * How far predictions may be off, as the standard deviation of the logarithm of taken over predicted time.
 * Learned from finished requests, and widened for sides of which little is known. Pure, immutable.
 */
import type { LinkEstimate, PricedPlan } from './types.ts';

export interface Doubt {
  /** Of recent predictions: mean square of that logarithm. */
  readonly variance: number;
  /** Races that each side lost since it last finished one: what was feared of it did not come true. */
  readonly lost: { readonly device: number; readonly endpoint: number };
  /** Ms that both ends worked for results, and ms that they worked for plans that lost a race. */
  readonly workedMs: number;
  readonly extraMs: number;
}

/** Two runs of the same work differ by some 10%, two trips by as much again. */
const LEAST_DEVIATION = 0.1;

/** Before anything finished: somewhat more than that. */
const FIRST_DEVIATION = 0.15;

/** After a surprise, half of it is forgotten within two good predictions. */
const LEARNING_RATE = 0.3;

/** One stall of any length says that things are unsure, not how much: e^2 is 7 times as long. */
const MAX_LOG_ERROR = 2;

/** A side that was never seen may well be twice as fast or slow as it was guessed to be. */
const UNSEEN_DEVIATION = 0.8;

/** From these confidences on a side counts as seen: its estimate is a measurement, if an old one. */
export const SEEN = { device: 0.5, endpoint: 0.3, link: 0.2 };

/** Half of all sessions open on a busy machine, which is slower then by up to 6: evenly so, in the logarithm. */
const BUSY_SHARE = 0.5;
const BUSY_FACTORS = [1.25, 2, 3, 4.8];

export const NEW_DOUBT: Doubt = {
  variance: FIRST_DEVIATION ** 2,
  lost: { device: 0, endpoint: 0 },
  workedMs: 0,
  extraMs: 0,
};

/** What a request, raced or not, told; times in ms. */
export interface Finished {
  readonly plan: PricedPlan;
  readonly tookMs: number;
  /** Ms that both ends worked under `plan`. */
  readonly workedMs: number;
  /** Ms worked under another plan, which lost. */
  readonly extraMs: number;
  /** Side of the plan that lost, when there was a race. */
  readonly loser?: 'device' | 'endpoint';
}

export function observeFinished(doubt: Doubt, finished: Finished): Doubt {
  const { plan, tookMs, loser } = finished;
  const { totalMs } = plan.prediction;
  const isKnown = tookMs > 0 && Number.isFinite(tookMs) && totalMs > 0;
  const error = isKnown ? Math.min(MAX_LOG_ERROR, Math.abs(Math.log(tookMs / totalMs))) : undefined;
  const amount = (ms: number): number => (Number.isFinite(ms) ? Math.max(0, ms) : 0);
  const lost = {
    device: plan.kind === 'local' ? 0 : doubt.lost.device + Number(loser === 'device'),
    endpoint: plan.kind === 'remote' ? 0 : doubt.lost.endpoint + Number(loser === 'endpoint'),
  };
  return {
    variance:
      error === undefined ? doubt.variance : doubt.variance + LEARNING_RATE * (error ** 2 - doubt.variance),
    lost,
    workedMs: doubt.workedMs + amount(finished.workedMs),
    extraMs: doubt.extraMs + amount(finished.extraMs),
  };
}

/** What is known of each side, as its confidence; the link with its spread. */
export interface Known {
  readonly device: number;
  /** The device's costs are those of its opening, and an upper bound (`device/first-costs`). Default false. */
  readonly isDeviceDoubted?: boolean;
  readonly endpoint: number;
  readonly link: LinkEstimate;
}

/** Of a prediction as such: from how recent ones came true. */
export function usualDeviation({ variance }: Doubt): number {
  return Math.max(LEAST_DEVIATION, Math.sqrt(variance));
}

/** How many times faster than is believed the device may be, and how likely each is. */
export function deviceFactors(
  { lost }: Doubt,
  { isDeviceDoubted = false }: Known,
): readonly { readonly factor: number; readonly share: number }[] {
  if (!isDeviceDoubted) return [{ factor: 1, share: 1 }];
  // That it lost a race tells that it is not much faster.
  const busy = BUSY_SHARE / (1 + lost.device);
  return [
    { factor: 1, share: 1 - busy },
    ...BUSY_FACTORS.map((factor) => ({ factor, share: busy / BUSY_FACTORS.length })),
  ];
}

/** Of the ratio of two plans' times, of which one runs here and the other there. */
export function ratioDeviation(doubt: Doubt, known: Known, plans: readonly PricedPlan[]): number {
  const unseen = (confidence: number, seen: number): number =>
    UNSEEN_DEVIATION * Math.max(0, 1 - confidence / seen);
  const parts = [
    usualDeviation(doubt),
    unseen(known.device, SEEN.device) / (1 + doubt.lost.device),
    unseen(known.endpoint, SEEN.endpoint) / (1 + doubt.lost.endpoint),
    unseen(known.link.confidence, SEEN.link) / (1 + doubt.lost.endpoint),
    ...plans.map(({ prediction: { roundTrips, totalMs } }) =>
      totalMs > 0 ? (known.link.rttSpreadMs * Math.sqrt(roundTrips)) / totalMs : 0,
    ),
  ];
  return Math.hypot(...parts);
}
