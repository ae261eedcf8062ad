/**
 * Whether a second plan runs beside the first, and from when on. Pure.
 *
 * At the start, when it is in doubt which of two places is faster: the time that is saved on average must
 * be worth what the other place works for nothing. Later, when the first plan is behind what it was predicted
 * to take at a high quantile: Dean and Barroso, "The Tail at Scale" (CACM 2013), call it a hedged request and
 * find that it cuts the tail for a few per cent of work.
 */

import { type Doubt, deviceFactors, type Known, ratioDeviation, usualDeviation } from './doubt.ts';
import { joulesOf } from './energy.ts';
import type { Goal } from './objective.ts';
import type { LinkEstimate, PricedPlan } from './types.ts';

/** `auto`: when it is worth it. `never`: one plan at a time, and another one only after a failure. */
export type HedgeOption = 'auto' | 'never';

/** Ms of waiting that a ms of work for nothing must save, whatever the goal says of energy and cloud. */
const WORK_PRICE = 0.02;

/** A start in two places that saves less is not noticed. */
const LEAST_SAVING_MS = 20;

/** Work for nothing that starts in two places may add to all work of a session. */
export const MAX_EXTRA_SHARE = 0.1;

/** Deviations that a plan may be late by: Dean and Barroso wait for the 95th percentile. */
const LATE_DEVIATIONS = 1.645;

/** Ms that anything may pause (garbage collection, a busy tab, a retransmission) without being late. */
const PAUSE_MS = 200;

/** Deviations of the round trip that a packet may be late by. */
const LATE_SPREADS = 4;

/**
 * What is late will be late by as much again, and more: the mean excess over a Pareto tail of index 1.5 is twice
 * what has passed. Times of service with such tails are why hedging pays at all.
 */
const EXCESS_RATIO = 2;

/** Steps after which their pace says more than their prediction. */
const PACED_TOKENS = 3;

export interface HedgeInput {
  readonly first: PricedPlan;
  /** All plans, best first; rejected ones are never taken. */
  readonly plans: readonly PricedPlan[];
  readonly goal: Goal;
}

/**
 * The plan that may run beside `first`: all here, or all there, whichever scores better and is not where `first`
 * is. None that is ruled out, that would first fetch weights, or that would send more than the goal allows.
 */
export function secondPlan({ first, plans, goal }: HedgeInput): PricedPlan | undefined {
  const open = plans.filter(
    ({ kind, rejected, prediction }) =>
      kind !== 'split' &&
      kind !== first.kind &&
      rejected === undefined &&
      prediction.weightBytes === 0 &&
      prediction.bytesUp + first.prediction.bytesUp <= goal.maxBytesUp,
  );
  return open.reduce<PricedPlan | undefined>(
    (best, plan) => (best === undefined || plan.score < best.score ? plan : best),
    undefined,
  );
}

/** Whether both begin at once. A split uses both places, and so does not begin beside another plan. */
export function startsBoth(
  first: PricedPlan,
  second: PricedPlan,
  { goal, doubt, known }: { readonly goal: Goal; readonly doubt: Doubt; readonly known: Known },
): boolean {
  // Who prefers a place has said what to do in doubt.
  const isPreferred = goal.mode === 'prefer-device' || goal.mode === 'prefer-cloud';
  if (first.kind === 'split' || isPreferred) return false;
  if (doubt.extraMs > MAX_EXTRA_SHARE * doubt.workedMs) return false;
  const deviation = ratioDeviation(doubt, known, [first, second]);
  const msOf = ({ kind, prediction: { totalMs } }: PricedPlan, factor: number): number =>
    kind === 'local' ? totalMs / factor : totalMs;
  const savedMs = deviceFactors(doubt, known).reduce(
    (sum, { factor, share }) =>
      sum + share * expectedSaving(msOf(first, factor), msOf(second, factor), deviation),
    0,
  );
  return savedMs >= LEAST_SAVING_MS && goal.weights.latency * savedMs > extraCost(first, second, goal);
}

/**
 * Mean of `max(0, T1 - T2)` where `ln(T1 / T2)` is normal round the predictions' ratio. `firstMs` is what the
 * saving is counted in.
 */
export function expectedSaving(firstMs: number, secondMs: number, deviation: number): number {
  if (!(firstMs > 0) || !(secondMs > 0) || !(deviation > 0)) return 0;
  const z = Math.log(secondMs / firstMs) / deviation;
  return firstMs * deviation * (density(z) - z * upperTail(z));
}

/** In ms of waiting: what `second` would work until `first` is done, if that is on time. */
function extraCost(first: PricedPlan, second: PricedPlan, goal: Goal): number {
  const { prediction } = second;
  const share = Math.min(1, first.prediction.totalMs / Math.max(prediction.totalMs, Number.MIN_VALUE));
  const workMs = share * (prediction.deviceMs + prediction.endpointMs);
  return (
    WORK_PRICE * workMs +
    goal.weights.energy * share * joulesOf(prediction, goal.energy) +
    goal.weights.cloud * share * prediction.endpointMs
  );
}

/** How far a plan has come. */
export interface Progress {
  /** Ms since it began. */
  readonly sinceStartMs: number;
  /** Ms since it began, or since its latest token. */
  readonly sinceTokenMs: number;
  /** Ms from its begin to its first token; 0 before that. */
  readonly firstTokenMs: number;
  /** Tokens that it made. */
  readonly tokens: number;
  /** Tokens that it is expected to make in all. */
  readonly expectedTokens: number;
}

/** Ms until `second` should begin beside `first`, if nothing comes by then; 0 for now. */
export function hedgeInMs(
  first: PricedPlan,
  second: PricedPlan,
  progress: Progress,
  { goal, doubt, link }: { readonly goal: Goal; readonly doubt: Doubt; readonly link: LinkEstimate },
): number {
  const { totalMs, ttftMs } = first.prediction;
  const { sinceStartMs, sinceTokenMs, firstTokenMs, tokens, expectedTokens } = progress;
  const slack = Math.exp(LATE_DEVIATIONS * usualDeviation(doubt));
  const pauseMs = PAUSE_MS + (first.kind === 'local' ? 0 : LATE_SPREADS * link.rttSpreadMs);
  const stepMs = (totalMs - ttftMs) / Math.max(1, expectedTokens - 1);
  // What the second costs beside its time counts as if it took longer.
  const secondMs =
    second.prediction.totalMs + extraCost(first, second, goal) / Math.max(goal.weights.latency, 1e-9);
  const dueMs = tokens === 0 ? (expectedTokens === 0 ? totalMs : ttftMs) : stepMs;
  const lateMs = Math.max(slack * dueMs + pauseMs, secondMs / EXCESS_RATIO);
  const silenceMs = Math.max(0, lateMs - sinceTokenMs);
  if (tokens < PACED_TOKENS) return silenceMs;
  // Tokens come, but slowly: what is left at their pace, against all of the second.
  const paceMs = (sinceStartMs - sinceTokenMs - firstTokenMs) / Math.max(1, tokens - 1);
  const leftMs = paceMs * Math.max(1, expectedTokens - tokens);
  return paceMs > slack * stepMs && leftMs > secondMs + pauseMs ? 0 : silenceMs;
}

function density(z: number): number {
  return Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI);
}

/** Of the standard normal; Abramowitz and Stegun, 26.2.17: off by less than 1e-7. */
function upperTail(z: number): number {
  if (z < 0) return 1 - upperTail(-z);
  const t = 1 / (1 + 0.2316419 * z);
  const series = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  return density(z) * series.reduceRight((sum, factor) => t * (factor + sum), 0);
}

/** Ms at which the next token, or the end, was predicted to come, since the plan began. */
export function dueMs({ prediction }: PricedPlan, tokens: number, expectedTokens: number): number {
  const { totalMs, ttftMs } = prediction;
  if (expectedTokens === 0) return totalMs;
  return Math.min(totalMs, ttftMs + (tokens * (totalMs - ttftMs)) / Math.max(1, expectedTokens - 1));
}
