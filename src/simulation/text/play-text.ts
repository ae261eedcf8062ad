/** Conversations through a world under each player; what the best of what anyone held could have done at each request. */
import { type Route, routeOf } from '../../session/text/route.ts';
import { seeded } from '../random.ts';
import { heldAfter, type Played, playRoute } from './forced.ts';
import { type Held, nothingHeld, rewound } from './held.ts';
import { bestKnown, routesOf } from './oracle.ts';
import { TextPlanner } from './text-planner.ts';
import { makeTextWorld, type TextWorld } from './text-world.ts';
import { Truth } from './truth.ts';

export interface TextStep extends Played {
  readonly oracle: Played;
  readonly localMs: number;
  readonly remoteMs: number;
  readonly remoteEndpointMs: number;
  readonly index: number;
}

export interface TextEpisode {
  readonly agent: string;
  readonly world: TextWorld;
  readonly steps: readonly TextStep[];
}

/** All players in one world. Requests that nobody could answer, the endpoint being away before weights came, are left out. */
export function playTextWorld(world: TextWorld, seed: number): readonly TextEpisode[] {
  const truths = world.moments.map((moment) => new Truth(world, moment));
  const [some] = truths;
  if (some === undefined) return [];
  const routes = routesOf(some);
  const last = some.blocks;
  const local = fixed(truths, routes, routeOf('local', last));
  const remote = fixed(truths, routes, routeOf('remote', last));
  const hindsight = staticBest(truths, routes);
  const planner = new TextPlanner(world, seeded(seed));
  const isthmus: Played[] = [];
  const oracles: Played[] = [];
  let own = nothingHeld(last);
  for (const [index, truth] of truths.entries()) {
    const from = planner.begin(truth);
    own = kept(truth, own);
    const mine = bestKnown(truth, routes, own);
    own = mine.held;
    const states = [from, local.states[index], remote.states[index]];
    const played = planner.play(truth);
    isthmus.push(played);
    // Nobody is the best from everybody's state; what each of them did counts as well.
    const all = [mine.played, played, local.played[index], remote.played[index], hindsight[index]];
    for (const held of states) if (held !== undefined) all.push(bestKnown(truth, routes, held).played);
    oracles.push(least(all));
  }
  const players: readonly [string, readonly Played[]][] = [
    ['isthmus', isthmus],
    ['all local', local.played],
    ['all remote', remote.played],
    ['static best', hindsight],
  ];
  return players.map(([agent, all]) => ({
    agent,
    world,
    steps: all.flatMap((played, index): TextStep[] => {
      const oracle = oracles[index];
      const here = local.played[index];
      const there = remote.played[index];
      if (oracle === undefined || here === undefined || there === undefined) return [];
      if (oracle.ms === Infinity) return [];
      return [
        {
          ...played,
          oracle,
          localMs: here.plan === 'local' ? here.ms : Infinity,
          remoteMs: there.plan === 'remote' ? there.ms : Infinity,
          remoteEndpointMs: there.endpointMs,
          index,
        },
      ];
    }),
  }));
}

export function playText(
  manifest: TextWorld['manifest'],
  requests: number,
  seed: number,
): readonly TextEpisode[] {
  return playTextWorld(makeTextWorld(manifest, requests, seed), seed);
}

interface Fixed {
  readonly played: readonly Played[];
  /** What it held when each request came. */
  readonly states: readonly Held[];
}

/** Always the same route; where that cannot run, the first that can. */
function fixed(truths: readonly Truth[], routes: readonly Route[], route: Route): Fixed {
  const played: Played[] = [];
  const states: Held[] = [];
  const isAllowed = routes.some(({ id }) => id === route.id);
  const [some] = truths;
  let held = nothingHeld(some?.blocks ?? 0);
  for (const truth of truths) {
    held = kept(truth, held);
    states.push(held);
    const runs =
      isAllowed && truth.canRun(route) ? route : [...routes].reverse().find((one) => truth.canRun(one));
    const taken = runs ?? route;
    played.push(playRoute(truth, taken, held));
    if (runs !== undefined) held = heldAfter(truth, runs, held);
  }
  return { played, states };
}

/** The one route that took the least in all, known in hindsight. */
function staticBest(truths: readonly Truth[], routes: readonly Route[]): readonly Played[] {
  let best: readonly Played[] = [];
  let bestMs = Infinity;
  for (const route of routes) {
    const { played } = fixed(truths, routes, route);
    const ms = played.reduce((sum, one) => sum + (one.ms === Infinity ? 0 : one.ms), 0);
    if (ms < bestMs) [best, bestMs] = [played, ms];
  }
  return best;
}

function kept({ moment }: Truth, held: Held): Held {
  return rewound(held, moment.continues ? moment.length - moment.prompt : 0);
}

function least(all: readonly (Played | undefined)[]): Played {
  const [first, ...others] = all.flatMap((one) => (one === undefined ? [] : [one]));
  if (first === undefined) throw new RangeError('nobody played');
  return others.reduce((best, one) => (one.ms < best.ms ? one : best), first);
}
