/** Prices every plan, leaves out those that a limit rules out and takes the one that the goal scores best. Pure. */
import { IsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { type CostModel, costModel, type PlanningInput, predict } from './cost.ts';
import { joulesOf } from './energy.ts';
import { enumeratePlans, leavingTensors, type PlanOptions } from './enumerate.ts';
import { type Goal, goalOf, isBearable, isPriced, limitOf, scoreOf } from './objective.ts';
import { explainChoice } from './reason.ts';
import type { EndpointState, PlanShape, PricedPlan } from './types.ts';

/** Why a plan may not run, or `undefined`. Limits are asked in order; the first answer is kept. */
export type PlanLimit = (plan: PricedPlan) => string | undefined;

export interface ChooseInput extends PlanningInput, Omit<PlanOptions, 'hasEndpoint'> {
  /** `unknown` is tried: only a request tells. */
  readonly endpointState: EndpointState;
  /** False when missing weights cannot be fetched now. */
  readonly weightsReachable: boolean;
  /** Default: the least time, without limits. */
  readonly goal?: Goal;
  /** Further limits, e.g. plans that failed already in this request. */
  readonly limits?: readonly PlanLimit[];
}

export interface Choice {
  readonly chosen: PricedPlan;
  readonly reason: string;
  /** Every plan, best first, rejected ones last. */
  readonly plans: readonly PricedPlan[];
}

export const ENDPOINT_DOWN = 'the endpoint cannot be reached';
export const WEIGHTS_MISSING = 'weights are missing and cannot be fetched';

const DEFAULT_GOAL = goalOf();

/**
 * What a cut must promise over the better pure plan. One that promises less gains nothing that is noticed, and where it is
 * wrong it does harm: its blocks are timed together with others more often than apart, and its link is used more.
 */
export const LEAST_SPLIT_GAIN = 0.02;

/**
 * The plan that the goal scores best (or its mode prefers), then the soonest first token, then in the order of
 * enumeration. Throws `weights-missing` when nothing can run because endpoint and weights are out of
 * reach, and `no-plan` with `details.rejected` (`{planId: limit}`) when other limits rule out all.
 */
export function choosePlan(input: ChooseInput): Choice {
  const { plans, model } = pricePlans(input);
  const [chosen] = plans;
  if (chosen === undefined || chosen.rejected !== undefined) throw nothingRuns(plans);
  return { chosen, reason: explainChoice(chosen, plans, model, input.choice !== 'auto'), plans };
}

/** Every plan with its prediction, best first, rejected ones last: what `explain()` lists. */
export function pricePlans(input: ChooseInput): {
  readonly plans: readonly PricedPlan[];
  readonly model: CostModel;
} {
  const model = costModel(input);
  const shapes = enumeratePlans(input.manifest, { ...input, hasEndpoint: input.endpoint !== undefined });
  const limits = [...ownLimits(input), ...(input.limits ?? [])];
  const goal = input.goal ?? DEFAULT_GOAL;
  const plans = shapes.map((shape) => withLimits(price(shape, model, goal), limits));
  return { plans: preferred(earned(plans.sort(byScore), goal), goal), model };
}

function price(shape: PlanShape, model: CostModel, goal: Goal): PricedPlan {
  const { device, endpoint, manifest } = model.input;
  const prediction = predict(shape, model);
  // The device's provider, unless nothing runs there.
  const provider = shape.kind === 'remote' ? (endpoint?.side.provider ?? device.provider) : device.provider;
  return {
    id: shape.id,
    kind: shape.kind,
    cut: shape.cut,
    codec: shape.codec,
    provider,
    prediction,
    score: scoreOf(prediction, goal),
    joules: joulesOf(prediction, goal.energy),
    leaves: leavingTensors(manifest, shape.cut),
  };
}

function ownLimits(input: ChooseInput): readonly PlanLimit[] {
  const { endpointState, weightsReachable, manifest, goal = DEFAULT_GOAL } = input;
  const weights = weightsUpTo(manifest);
  return [
    ({ kind, cut, prediction: { bytesUp } }) =>
      limitOf(
        {
          usesDevice: cut > 0,
          usesEndpoint: kind !== 'local',
          // Tokens and outputs come from where the last block runs.
          showsContent: kind !== 'local',
          bytesUp,
          weightBytes: weights[cut] ?? 0,
        },
        goal,
      ),
    (plan) => (plan.kind !== 'local' && endpointState === 'down' ? ENDPOINT_DOWN : undefined),
    (plan) => (plan.prediction.weightBytes > 0 && !weightsReachable ? WEIGHTS_MISSING : undefined),
  ];
}

function withLimits(plan: PricedPlan, limits: readonly PlanLimit[]): PricedPlan {
  for (const limit of limits) {
    const rejected = limit(plan);
    if (rejected !== undefined) return { ...plan, rejected };
  }
  return plan;
}

/** Weights of blocks `0..k-1`, for each `k`. Blocks that share a shard are counted as the manifest counts them. */
function weightsUpTo({ blocks }: Manifest): readonly number[] {
  const sums = [0];
  for (const { weightBytes } of blocks) sums.push((sums.at(-1) ?? 0) + weightBytes);
  return sums;
}

/** A cut that gains next to nothing stands behind the pure plan that it would replace. `plans` come best first. */
function earned(plans: readonly PricedPlan[], goal: Goal): readonly PricedPlan[] {
  const [best] = plans;
  if (best?.kind !== 'split') return plans;
  const most = isPriced(goal) ? best.prediction.endpointMs : Infinity;
  const pure = plans.find(
    ({ kind, rejected, prediction }) =>
      kind !== 'split' && rejected === undefined && prediction.endpointMs <= most,
  );
  if (pure === undefined) return plans;
  if (pure.score * (1 - LEAST_SPLIT_GAIN) > best.score) return plans;
  return [pure, ...plans.filter((plan) => plan !== pure)];
}

/** The plan that the mode prefers before all others, where it can begin now and is bearable. */
function preferred(plans: readonly PricedPlan[], goal: Goal): readonly PricedPlan[] {
  const kind = goal.mode === 'prefer-device' ? 'local' : goal.mode === 'prefer-cloud' ? 'remote' : undefined;
  const [best] = plans;
  if (kind === undefined || best === undefined) return plans;
  const wanted = plans.find(
    (plan) => plan.kind === kind && plan.rejected === undefined && plan.prediction.weightBytes === 0,
  );
  if (wanted === undefined || !isBearable(wanted.prediction.totalMs, best.prediction.totalMs, goal))
    return plans;
  return [wanted, ...plans.filter((plan) => plan !== wanted)];
}

/** The sort is stable, so equal plans stay in the order of enumeration. */
function byScore(a: PricedPlan, b: PricedPlan): number {
  return (
    Number(a.rejected !== undefined) - Number(b.rejected !== undefined) ||
    a.score - b.score ||
    a.prediction.totalMs - b.prediction.totalMs ||
    a.prediction.ttftMs - b.prediction.ttftMs
  );
}

function nothingRuns(plans: readonly PricedPlan[]): IsthmusError {
  const rejected = Object.fromEntries(plans.map((plan) => [plan.id, plan.rejected]));
  const limits = new Set(Object.values(rejected));
  const outOfReach =
    limits.has(WEIGHTS_MISSING) &&
    [...limits].every((limit) => limit === WEIGHTS_MISSING || limit === ENDPOINT_DOWN);
  if (outOfReach) {
    return new IsthmusError(
      'weights-missing',
      'the endpoint cannot be reached and the weights needed to go on here are not on this device',
      { details: { rejected } },
    );
  }
  const message =
    plans.length === 0 ? 'the plan asked for needs an endpoint and there is none' : 'no plan may run';
  return new IsthmusError('no-plan', message, { details: { rejected } });
}
