/** Who chooses plans in a simulation: Isthmus's own planner, and those it is compared with. */

import { costModel, predict } from '../planner/cost.ts';
import type { LinkEstimate, PlanShape } from '../planner/types.ts';
import { usualWorkload } from '../session/planning.ts';
import type { Hedge, Raced } from './race.ts';
import type { World } from './world.ts';

/** Of the newest answer's length, as the session's own knowledge weighs it. */
const TOKENS_LEARNING_RATE = 0.3;

/** Smaller transfers tell of the round trip, not of bandwidth. */
const LARGE_BYTES = 10_000;

/** What anyone may know when a request comes. */
export interface Ask {
  /** Plans that can run now. */
  readonly plans: readonly PlanShape[];
  /** Ms since the world began, for this agent. */
  readonly at: number;
  /** Which request it is. */
  readonly index: number;
  readonly units: number;
  readonly maxTokens: number;
  readonly isUp: boolean;
}

export interface Agent {
  readonly name: string;
  choose(ask: Ask): PlanShape;
  /** Ms that the latest request waited for work of the agent's own. */
  waitedMs?(): number;
  /** What may run beside `choose`'s latest plan; absent for who runs one plan at a time. */
  hedge?(ask: Ask): Hedge | undefined;
  learn(ask: Ask, raced: Raced, tokens: number): void;
}

/** Always one plan, or else what can run. */
export function always(name: string, id: string): Agent {
  return {
    name,
    choose: ({ plans }) => plans.find((plan) => plan.id === id) ?? first(plans),
    learn: () => undefined,
  };
}

/**
 * Neurosurgeon's way (Kang et al., ASPLOS 2017): layers are profiled once, offline and without error; at run
 * time only the bandwidth is looked at, as the latest transfer had it. Load, throttling and changes of the
 * round trip are not seen.
 */
export function neurosurgeon(world: World): Agent {
  const [begin] = world.moments;
  if (begin === undefined) return always('offline profile', 'local');
  let link: LinkEstimate = begin.link;
  let tokensPerUnit = begin.workload.tokens / begin.workload.units;
  return {
    name: 'offline profile',
    choose: ({ plans, units, maxTokens }) => {
      const model = costModel({
        manifest: world.manifest,
        workload: {
          ...usualWorkload(world.manifest, units),
          tokens: Math.min(maxTokens, Math.round(units * tokensPerUnit)),
        },
        device: world.device,
        endpoint: { side: world.endpoint, queueMs: 0 },
        link,
        missingWeightBytes: () => 0,
      });
      return best(plans, (plan) => predict(plan, model).totalMs);
    },
    learn: ({ units }, { winner }, tokens) => {
      tokensPerUnit += TOKENS_LEARNING_RATE * (tokens / units - tokensPerUnit);
      const large = winner.link.find((one) => one.kind === 'transfer' && one.bytes > LARGE_BYTES);
      if (large?.kind !== 'transfer') return;
      const rate = (1000 * large.bytes) / Math.max(1, large.ms - link.rttMs);
      link = { ...link, upBytesPerSecond: rate };
    },
  };
}

/**
 * UCB1 (Auer et al., 2002) over the plans, fed with time per unit of work. Knows nothing of models or
 * links, and so must try each plan before it can say a thing.
 */
export function bandit(): Agent {
  const arms = new Map<string, { mean: number; count: number }>();
  let total = 0;
  let scale = 0;
  return {
    name: 'UCB bandit',
    choose: ({ plans }) => {
      const untried = plans.find(({ id }) => !arms.has(id));
      if (untried !== undefined) return untried;
      return best(plans, ({ id }) => {
        const { mean = 0, count = 1 } = arms.get(id) ?? {};
        return mean - scale * Math.sqrt((2 * Math.log(Math.max(2, total))) / count);
      });
    },
    learn: ({ units }, { winner: { plan, totalMs } }) => {
      total += 1;
      const cost = totalMs / units;
      const { mean, count } = arms.get(plan.id) ?? { mean: 0, count: 0 };
      arms.set(plan.id, { mean: mean + (cost - mean) / (count + 1), count: count + 1 });
      // UCB1 is stated for rewards within [0, 1]: the least cost seen serves as the unit.
      scale = Math.min(...[...arms.values()].map((arm) => arm.mean));
    },
  };
}

export function best(plans: readonly PlanShape[], cost: (plan: PlanShape) => number): PlanShape {
  let found = first(plans);
  let least = cost(found);
  for (const plan of plans.slice(1)) {
    const here = cost(plan);
    if (here < least) [found, least] = [plan, here];
  }
  return found;
}

function first(plans: readonly PlanShape[]): PlanShape {
  const [plan] = plans;
  if (plan === undefined) throw new RangeError('no plan can run');
  return plan;
}
