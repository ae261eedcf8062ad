/** A request that may run under two plans: when the second begins, which one is done first, what the other cost. */
import { type CostModel, predict } from '../planner/cost.ts';
import type { Progress } from '../planner/hedge.ts';
import type { PlanShape, Prediction } from '../planner/types.ts';
import { type Outcome, playOut } from './outcome.ts';
import type { Random } from './random.ts';

/** What an agent would do beside the plan that it chose. */
export interface Hedge {
  readonly second: PlanShape;
  readonly atStart: boolean;
  /** Ms until the second plan begins, if nothing comes by then. */
  readonly inMs: (progress: Omit<Progress, 'expectedTokens'>) => number;
}

/** A plan that was stopped because another one was done. */
export interface Loser {
  readonly plan: PlanShape;
  readonly ranMs: number;
  readonly tokens: number;
  /** Ms worked at each end until then. */
  readonly deviceMs: number;
  readonly endpointMs: number;
}

export interface Raced {
  readonly winner: Outcome;
  /** Ms after which the winner began. */
  readonly beganMs: number;
  readonly hedged: 'no' | 'at the start' | 'when late';
  readonly loser?: Loser;
}

export function playRace(plan: PlanShape, hedge: Hedge | undefined, truth: CostModel, random: Random): Raced {
  const first = playOut(plan, truth, random);
  const alone: Raced = { winner: first, beganMs: 0, hedged: 'no' };
  if (hedge === undefined) return alone;
  const arrivals = arrivalsOf(first, truth);
  const at = hedge.atStart ? 0 : beginsAt(arrivals, hedge);
  if (at === undefined) return alone;
  const hedged = hedge.atStart ? 'at the start' : 'when late';
  const second = playOut(hedge.second, truth, random);
  // One device runs one thing at a time: the front of a split is over before all runs here.
  const busyMs = plan.kind === 'split' ? predict(plan, truth).deviceMs : 0;
  const beganMs = second.plan.kind === 'local' ? Math.max(at, busyMs) : at;
  if (first.totalMs <= beganMs + second.totalMs) {
    const ranMs = Math.max(0, first.totalMs - beganMs);
    return { winner: first, beganMs: 0, hedged, loser: stopped(second, ranMs, truth) };
  }
  return { winner: second, beganMs, hedged, loser: stopped(first, beganMs + second.totalMs, truth) };
}

function beginsAt(arrivals: readonly number[], { inMs }: Hedge): number | undefined {
  const firstTokenMs = arrivals[0] ?? 0;
  let since = 0;
  for (const [tokens, arrival] of arrivals.entries()) {
    const told = { sinceStartMs: since, sinceTokenMs: 0, tokens };
    const at = since + inMs({ ...told, firstTokenMs: tokens === 0 ? 0 : firstTokenMs });
    if (at < arrival) return at;
    since = arrival;
  }
  return undefined;
}

/** When each token, and at last the end, came. */
function arrivalsOf({ plan, totalMs }: Outcome, truth: CostModel): readonly number[] {
  const predicted = predict(plan, truth);
  const { tokens } = truth.input.workload;
  const noise = totalMs / predicted.totalMs;
  const stepMs = (predicted.totalMs - predicted.ttftMs) / Math.max(1, tokens - 1);
  const times = Array.from({ length: tokens }, (_, index) => noise * (predicted.ttftMs + index * stepMs));
  return [...times, totalMs];
}

function stopped(outcome: Outcome, ranMs: number, truth: CostModel): Loser {
  const predicted = predict(outcome.plan, truth);
  return {
    plan: outcome.plan,
    ranMs,
    tokens: arrivalsOf(outcome, truth)
      .slice(0, -1)
      .filter((at) => at <= ranMs).length,
    ...workBy(predicted, ranMs),
  };
}

/** The device works first, then what goes up goes up, then the endpoint works. */
function workBy({ deviceMs, linkMs, endpointMs }: Prediction, ranMs: number) {
  return {
    deviceMs: Math.min(ranMs, deviceMs),
    endpointMs: Math.min(Math.max(0, ranMs - deviceMs - linkMs), endpointMs),
  };
}
