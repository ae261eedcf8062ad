/** Requests through a world, under one agent; how far from the best plan it was at each. */
import { predict } from '../planner/cost.ts';
import { enumeratePlans } from '../planner/enumerate.ts';
import { type Agent, type Ask, always, bandit, best, neurosurgeon } from './agents.ts';
import { plannerAgent } from './planner-agent.ts';
import { playRace, type Raced } from './race.ts';
import { type Random, seeded } from './random.ts';
import { type Moment, trueCosts, type World } from './world.ts';

export interface Step {
  readonly plan: string;
  readonly oracle: string;
  /** True ms, noise left out, of the plan that was taken and of the best one. */
  readonly ms: number;
  readonly oracleMs: number;
  readonly localMs: number;
  /** `Infinity` where the endpoint is down. */
  readonly remoteMs: number;
  /** Ms of work at each end, for the plan that was done first. */
  readonly deviceMs: number;
  readonly endpointMs: number;
  readonly hedged: Raced['hedged'];
  /** Ms worked at each end for a plan that was stopped. */
  readonly extraDeviceMs: number;
  readonly extraEndpointMs: number;
  readonly remoteEndpointMs: number;
}

export interface Episode {
  readonly agent: string;
  readonly world: World;
  readonly steps: readonly Step[];
}

/** Share by which a step was slower than the best plan's. */
export function regretOf({ ms, oracleMs }: Step): number {
  return ms / oracleMs - 1;
}

interface Scene {
  readonly moment: Moment;
  readonly ask: Omit<Ask, 'at'>;
  readonly msOf: ReadonlyMap<string, number>;
  readonly costs: ReturnType<typeof trueCosts>;
}

/** All agents in one world, each with the same noise; the best fixed plan in hindsight is among them. */
export function playWorld(world: World, seed: number): readonly Episode[] {
  const scenes = world.moments.map((moment, index) => sceneOf(world, moment, index));
  const agents: readonly ((random: Random) => Agent)[] = [
    (random) => plannerAgent(world, random),
    () => always('all local', 'local'),
    () => always('all remote', 'remote'),
    () => always('static best', staticBest(scenes)),
    () => neurosurgeon(world),
    () => bandit(),
  ];
  return agents.map((make) => {
    const random = seeded(seed);
    const agent = make(random);
    let now = 0;
    const steps = scenes.map((scene): Step => {
      const ask = { ...scene.ask, at: now + scene.moment.pauseMs };
      const plan = agent.choose(ask);
      const raced = playRace(plan, agent.hedge?.(ask), scene.costs, random);
      agent.learn(ask, raced, scene.moment.workload.tokens);
      const waitedMs = agent.waitedMs?.() ?? 0;
      now = ask.at + waitedMs + raced.beganMs + raced.winner.totalMs;
      return stepOf(raced, scene, waitedMs);
    });
    return { agent: agent.name, world, steps };
  });
}

function sceneOf(world: World, moment: Moment, index: number): Scene {
  const costs = trueCosts(world, moment);
  const plans = enumeratePlans(world.manifest, {
    choice: 'auto',
    codecs: ['fp32'],
    hasEndpoint: moment.isUp,
  });
  const ask = {
    plans,
    index,
    units: moment.workload.units,
    maxTokens: moment.maxTokens,
    isUp: moment.isUp,
  };
  return { moment, ask, costs, msOf: new Map(plans.map((plan) => [plan.id, predict(plan, costs).totalMs])) };
}

function stepOf(
  { winner, beganMs, hedged, loser }: Raced,
  { ask, msOf, costs }: Scene,
  waitedMs: number,
): Step {
  const { plan } = winner;
  const work = predict(plan, costs);
  const ms = (id: string): number => msOf.get(id) ?? Infinity;
  const oracle = best(ask.plans, ({ id }) => ms(id));
  const remote = ask.plans.find(({ id }) => id === 'remote');
  return {
    plan: plan.id,
    oracle: oracle.id,
    ms: waitedMs + beganMs + ms(plan.id),
    oracleMs: ms(oracle.id),
    localMs: ms('local'),
    remoteMs: ms('remote'),
    deviceMs: work.deviceMs,
    endpointMs: work.endpointMs,
    hedged,
    extraDeviceMs: loser?.deviceMs ?? 0,
    extraEndpointMs: loser?.endpointMs ?? 0,
    remoteEndpointMs: remote === undefined ? 0 : predict(remote, costs).endpointMs,
  };
}

/** The plan that would have taken the least in all, had it been taken always. */
function staticBest(scenes: readonly Scene[]): string {
  const totals = new Map<string, number>();
  for (const { msOf } of scenes) {
    const local = msOf.get('local') ?? Infinity;
    for (const id of scenes[0]?.msOf.keys() ?? []) {
      // Where a plan cannot run it falls back to the device.
      totals.set(id, (totals.get(id) ?? 0) + (msOf.get(id) ?? local));
    }
  }
  const [found] = [...totals].sort((a, b) => a[1] - b[1])[0] ?? ['local'];
  return found;
}
