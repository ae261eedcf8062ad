/** Words of a race between two plans: who runs, what is told of it, how it ends. */
import type { Clock } from '../core/clock.ts';
import type { IsthmusError } from '../errors.ts';
import type { Progress } from '../planner/hedge.ts';
import type { PricedPlan } from '../planner/types.ts';
import type { Executed, Meter } from './execute.ts';
import type { HedgeCause } from './types.ts';

/** How a plan is run. Resolves when it is done; rejects soon after the signal fires. */
export type RunPlan = (plan: PricedPlan, watch: PlanWatch) => Promise<Executed>;

export interface PlanWatch {
  readonly prefix: readonly number[];
  readonly signal: AbortSignal;
  readonly onToken: (token: number) => void;
  readonly onMeter: (meter: Meter) => void;
  /** The device is free, and the plan begins to run there. */
  readonly onReady: () => void;
}

/** How far the first plan is when it is asked what may begin beside it. */
export interface PlanProgress extends Omit<Progress, 'expectedTokens'> {
  /** The first plan begins just now. */
  readonly isStart: boolean;
}

/** What may begin beside the first plan, and in how many ms if nothing comes by then. */
export interface Candidate {
  readonly plan: PricedPlan;
  readonly cause: HedgeCause;
  readonly inMs: number;
}

export interface RaceOptions {
  readonly first: PricedPlan;
  /** Asked at the start and whenever its answer is due; `undefined` when nothing may begin. Absent: never. */
  readonly second?: (progress: PlanProgress) => Candidate | undefined;
  readonly run: RunPlan;
  /** Tokens that were told before; grows. */
  readonly told: number[];
  /** Tells a token that is new. What it throws ends the race. */
  readonly tell: (token: number) => void;
  readonly onSecond: (candidate: Candidate) => void;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  readonly timeout: (ms: number) => AbortSignal;
}

/** A plan in a race. */
export interface Runner {
  readonly plan: PricedPlan;
  readonly beganAt: number;
  /** When the device began with it, where it runs there. */
  readonly readyAt: number | undefined;
  /** Tokens known to it, the prefix included. */
  readonly tokens: number;
  readonly meter: Meter;
  /** Why it is out, where it was not stopped. */
  readonly error: IsthmusError | undefined;
}

export interface RaceWon {
  readonly executed: Executed;
  readonly winner: Runner;
  /** Absent when no second plan began. */
  readonly hedge?: { readonly cause: HedgeCause; readonly first: Runner; readonly loser: Runner };
  /** Resolves when the plan that was stopped does nothing any more. */
  readonly stopped: Promise<unknown>;
  readonly endedAt: number;
}

/** All plans of a race failed: those of the plans before the last one, and the last. */
export interface RaceLost {
  readonly failures: readonly { readonly plan: string; readonly error: IsthmusError }[];
}
