/** Whether a request may run under two plans, with which second one, and what a race taught. */
import { IsthmusError } from '../errors.ts';
import { choosePlan } from '../planner/choose.ts';
import { dueMs, type HedgeOption, hedgeInMs, secondPlan, startsBoth } from '../planner/hedge.ts';
import type { Goal } from '../planner/objective.ts';
import type { PricedPlan, Workload } from '../planner/types.ts';
import { NO_TRAFFIC, sumMs } from './execute.ts';
import type { OpenOptions, Shared } from './parts.ts';
import { planningInput } from './planning.ts';
import type { Candidate, PlanProgress, RaceWon, Runner } from './race-types.ts';
import type { HedgeReport, PlanChoice, RunOptions } from './types.ts';

const HEDGE_OPTIONS: readonly HedgeOption[] = ['auto', 'never'];

/** A plan that was asked for by name, or that must not be replaced, runs alone. Throws `bad-option`. */
export function mayHedge(session: OpenOptions, request: RunOptions, choice: PlanChoice): boolean {
  const hedge = request.hedge ?? session.hedge ?? 'auto';
  if (!HEDGE_OPTIONS.includes(hedge)) {
    throw new IsthmusError(
      'bad-option',
      `there is no hedge '${String(hedge)}': ${HEDGE_OPTIONS.join(', ')}`,
      {
        details: { hedge },
      },
    );
  }
  return hedge === 'auto' && choice === 'auto' && session.fallback !== false;
}

/** What could begin beside `first` now, from what is known now. */
export function candidateFor(
  shared: Shared,
  request: { readonly first: PricedPlan; readonly workload: Workload; readonly goal: Goal },
  limits: Parameters<typeof planningInput>[3],
  progress: PlanProgress,
): Candidate | undefined {
  const { first, workload, goal } = request;
  const { knowledge, device, parts } = shared;
  // Only a place that is there begins beside another: a connection, or sessions of weights that are here.
  if (shared.link?.state !== 'up' && first.kind === 'local') return undefined;
  if (first.kind !== 'local' && device.missingBytes(parts.manifest.blocks.length) > 0) return undefined;
  const { plans } = choosePlan(planningInput(shared, workload, 'auto', limits, goal));
  const second = secondPlan({ first, plans, goal });
  if (second === undefined) return undefined;
  const { doubt, known } = knowledge;
  if (progress.isStart && startsBoth(first, second, { goal, doubt, known })) {
    return { plan: second, cause: 'doubt', inMs: 0 };
  }
  const expected = { ...progress, expectedTokens: workload.tokens };
  const inMs = hedgeInMs(first, second, expected, { goal, doubt, link: known.link });
  return { plan: second, cause: 'late', inMs };
}

/** Corrects what is believed of both sides by how a plan, and one beside it, went. */
export function learnFromRace(
  { knowledge }: Shared,
  { executed, winner, hedge, endedAt }: RaceWon,
  { units, tokens }: Workload,
): void {
  const loser = hedge?.loser;
  const isStopped = loser !== undefined && loser.error === undefined;
  if (isStopped) {
    const ranMs = endedAt - (loser.plan.kind === 'local' ? (loser.readyAt ?? endedAt) : loser.beganAt);
    const ratio = ranMs / dueMs(loser.plan, loser.tokens, tokens);
    knowledge.observeAtLeast(loser.plan, ratio, { units, tokens: loser.tokens });
  }
  const { computeMs = 0, queueMs = 0 } = executed.endpoint?.timing ?? {};
  knowledge.observeFinished({
    plan: winner.plan,
    tookMs: endedAt - winner.beganAt,
    workedMs: sumMs(executed.deviceMs) + computeMs,
    extraMs: loser === undefined ? 0 : extraMs(loser, endedAt, queueMs),
    ...(isStopped ? { loser: loser.plan.kind === 'local' ? 'device' : 'endpoint' } : {}),
  });
}

/** What a plan worked for nothing, as far as that can be known here: at the endpoint, no more than was predicted. */
function extraMs(loser: Runner, endedAt: number, queueMs: number): number {
  const { endpointMs, linkMs } = loser.plan.prediction;
  const there = Math.max(0, endedAt - loser.beganAt - linkMs - queueMs);
  return deviceMsOf(loser, endedAt) + Math.min(endpointMs, there);
}

export function hedgeReport({ winner, hedge, endedAt }: RaceWon): HedgeReport | undefined {
  if (hedge === undefined) return undefined;
  const { first, loser, cause } = hedge;
  const { bytesUp, bytesDown } = loser.meter.traffic?.() ?? NO_TRAFFIC;
  const second = first === winner ? loser : winner;
  return {
    first: first.plan.id,
    winner: winner.plan.id,
    cause,
    afterMs: Math.max(0, second.beganAt - first.beganAt),
    other: {
      plan: loser.plan.id,
      bytesUp,
      bytesDown,
      deviceMs: deviceMsOf(loser, endedAt),
      ...(loser.error === undefined ? {} : { error: loser.error }),
    },
  };
}

function deviceMsOf({ plan, meter, readyAt }: Runner, endedAt: number): number {
  if (meter.deviceMs !== undefined) return meter.deviceMs();
  return plan.kind === 'local' && readyAt !== undefined ? Math.max(0, endedAt - readyAt) : 0;
}
