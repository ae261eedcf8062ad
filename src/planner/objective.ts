/**
 * What a plan is to be good at, as people say it, and as the planner counts it: one number in ms of
 * waiting (`DESIGN`: w_latency T + w_energy E + w_cloud C + w_deadline max(0, T - deadline)) under hard limits.
 */
import { IsthmusError } from '../errors.ts';
import { type EnergyRates, type EnergyUse, energyRates, joulesOf } from './energy.ts';

/**
 * `fastest`: the least predicted time. `balanced`: time first, but a joule of the user's and a second of
 * the endpoint's have a price too. `frugal`: as little of the endpoint's time as a bearable wait allows.
 * `private`: the fastest plan under which the endpoint sees neither what goes into the model nor what comes
 * out of it; hidden states may cross, from which inputs can in part be guessed, so who must send nothing
 * at all asks for `mode: 'only-device'`.
 */
export type Objective = 'fastest' | 'private' | 'frugal' | 'balanced' | Partial<ObjectiveWeights>;

/** What each thing is worth, in ms of waiting. */
export interface ObjectiveWeights {
  /** Per ms until the result is whole. Default 1. */
  readonly latency: number;
  /** Per joule from the user's battery, as estimated by `EnergyRates`. Default 0. */
  readonly energy: number;
  /** Per ms of the endpoint's work. Default 0. */
  readonly cloud: number;
  /** Per ms beyond `deadlineMs`. Default 0. */
  readonly deadline: number;
}

/**
 * `only-device` and `only-cloud` allow nothing else. `prefer-device` and `prefer-cloud` take that place
 * when it can begin now and is bearable (`isBearable`), and else what the objective says. `auto`: the objective.
 */
export type PlanMode = 'auto' | 'prefer-device' | 'only-device' | 'prefer-cloud' | 'only-cloud';

export const PLAN_MODES: readonly PlanMode[] = [
  'auto',
  'prefer-device',
  'only-device',
  'prefer-cloud',
  'only-cloud',
];

export interface GoalOptions {
  /** Default `fastest`. */
  readonly objective?: Objective;
  /** Default `auto`. */
  readonly mode?: PlanMode;
  /** Ms until the result should be whole; what is later costs `weights.deadline` a ms. */
  readonly deadlineMs?: number;
  /** Bytes that one request may send; plans that would send more are ruled out. */
  readonly maxBytesUp?: number;
  /** Bytes of weights that may be held on the device; plans that need more are ruled out. */
  readonly maxWeightBytes?: number;
  /** Replaces entries of the table that energy is estimated by. */
  readonly energy?: Partial<EnergyRates>;
}

export interface Goal {
  readonly weights: ObjectiveWeights;
  readonly mode: PlanMode;
  readonly isPrivate: boolean;
  readonly deadlineMs: number;
  readonly maxBytesUp: number;
  readonly maxWeightBytes: number;
  readonly energy: EnergyRates;
}

const FASTEST: ObjectiveWeights = { latency: 1, energy: 0, cloud: 0, deadline: 0 };

/**
 * A phone's battery holds some 50 kJ: at 100 ms a joule one per mille of it is worth 5 s of waiting. A
 * second of the endpoint's is worth a quarter of the user's in `balanced`, five times the user's in `frugal`.
 */
const WEIGHTS: { readonly [name in Exclude<Objective, object>]: ObjectiveWeights } = {
  fastest: FASTEST,
  private: FASTEST,
  balanced: { latency: 1, energy: 100, cloud: 0.25, deadline: 2 },
  frugal: { latency: 0.2, energy: 0, cloud: 1, deadline: 2 },
};

/** A preferred place is bearable up to this many times the best plan's time, where no deadline says otherwise. */
const BEARABLE_RATIO = 2;

/**
 * Throws `bad-option` for what is out of range or contradicts itself. `forced` is the plan that was asked for
 * by name, if any: a mode or policy beside it must allow it.
 */
export function goalOf(options: GoalOptions = {}, rates = energyRates('computer', 'wifi')): Goal {
  const { objective = 'fastest', mode = 'auto' } = options;
  if (typeof objective === 'string' && !Object.hasOwn(WEIGHTS, objective)) {
    throw badOption('objective', objective, Object.keys(WEIGHTS).join(', '));
  }
  if (!PLAN_MODES.includes(mode)) throw badOption('mode', mode, PLAN_MODES.join(', '));
  const isPrivate = objective === 'private';
  if (isPrivate && (mode === 'only-cloud' || mode === 'prefer-cloud')) {
    throw new IsthmusError(
      'bad-option',
      `objective 'private' and mode '${mode}' contradict each other: one keeps input and output here, the other sends them`,
      { details: { objective, mode } },
    );
  }
  const weights = typeof objective === 'string' ? WEIGHTS[objective] : { ...FASTEST, ...objective };
  for (const [name, value] of Object.entries(weights)) checkAmount(`objective.${name}`, value);
  if (Object.values(weights).every((weight) => weight === 0)) {
    throw new IsthmusError('bad-option', 'an objective without any weight prefers nothing', {
      details: { objective },
    });
  }
  const energy = { ...rates, ...options.energy };
  for (const [name, value] of Object.entries(energy)) checkAmount(`energy.${name}`, value);
  const { deadlineMs = Infinity, maxBytesUp = Infinity, maxWeightBytes = Infinity } = options;
  const bounds = { deadlineMs, maxBytesUp, maxWeightBytes };
  for (const [name, value] of Object.entries(bounds)) {
    if (value !== Infinity) checkAmount(name, value);
  }
  return { weights, mode, isPrivate, ...bounds, energy };
}

/** What a plan is predicted to take. */
export interface PlanUse extends EnergyUse {
  readonly totalMs: number;
  readonly endpointMs: number;
}

/** In ms of waiting; less is better. */
export function scoreOf(use: PlanUse, { weights, deadlineMs, energy }: Goal): number {
  return (
    weights.latency * use.totalMs +
    weights.energy * joulesOf(use, energy) +
    weights.cloud * use.endpointMs +
    weights.deadline * Math.max(0, use.totalMs - deadlineMs)
  );
}

/** What limits look at. */
export interface PlanReach {
  readonly usesDevice: boolean;
  readonly usesEndpoint: boolean;
  /** The endpoint gets the model's input as it is, or makes its output. */
  readonly showsContent: boolean;
  readonly bytesUp: number;
  /** Of weights on the device. */
  readonly weightBytes: number;
}

/** Which of the goal's limits rules a plan out, in words; `undefined` when none does. */
export function limitOf(reach: PlanReach, goal: Goal): string | undefined {
  if (goal.mode === 'only-device' && reach.usesEndpoint) return "mode 'only-device' allows no endpoint";
  if (goal.mode === 'only-cloud' && reach.usesDevice) return "mode 'only-cloud' allows no work here";
  if (goal.isPrivate && reach.showsContent) {
    return "objective 'private': the endpoint would see what goes in or comes out";
  }
  if (reach.usesEndpoint && reach.bytesUp > goal.maxBytesUp) {
    return `it would send ${Math.ceil(reach.bytesUp)} bytes, more than maxBytesUp (${goal.maxBytesUp})`;
  }
  if (reach.weightBytes > goal.maxWeightBytes) {
    return `it holds ${reach.weightBytes} bytes of weights here, more than maxWeightBytes (${goal.maxWeightBytes})`;
  }
  return undefined;
}

/** Whether energy or the endpoint's time has a price: who puts one on them is not given a plan that works more there. */
export function isPriced({ weights }: Goal): boolean {
  return weights.cloud > 0 || weights.energy > 0;
}

/** Whether a preferred place is good enough to be taken although another plan is better. */
export function isBearable(totalMs: number, bestMs: number, { deadlineMs }: Goal): boolean {
  return totalMs <= (deadlineMs === Infinity ? BEARABLE_RATIO * bestMs : Math.max(deadlineMs, bestMs));
}

function checkAmount(name: string, value: unknown): void {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return;
  throw new IsthmusError('bad-option', `'${name}' must be a number of at least 0`, {
    details: { [name]: value },
  });
}

function badOption(name: string, value: unknown, known: string): IsthmusError {
  return new IsthmusError('bad-option', `there is no ${name} '${String(value)}': ${known}`, {
    details: { [name]: value },
  });
}
