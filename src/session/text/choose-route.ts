/** Which route a text should take: the best of those predicted, and the one to prefer; pure. */
import { IsthmusError } from '../../errors.ts';
import { type Goal, isBearable, isPriced } from '../../planner/objective.ts';
import { predictRoute, type RoutePrediction, type Situation } from './predict-route.ts';
import { type Route, routeOf, sharesPlace, usesPlace } from './route.ts';

/** People read some 5 tokens a second, fast ones 10; a device that makes as many keeps nobody waiting. */
export const READING_MS_PER_TOKEN = 100;

/** A move must promise this much less time for what is left, or it is not worth its own cost. */
const MOVE_GAIN = 0.85;

/**
 * What a cut must promise over the better place alone: its time rests on more that is not known (the line, how long trips
 * are, what guesses bring), and simulated ones that promised less lost more than they won.
 */
const LEAST_CUT_GAIN = 0.1;

/** Waits for a first token that differ by less are alike to a person. */
const FELT_WAIT_MS = 300;

/** Every route that the planner considers by itself, best first. */
export function rankRoutes(situation: Situation): readonly RoutePrediction[] {
  return ranked(candidates(situation), situation);
}

function ranked(routes: readonly Route[], situation: Situation): readonly RoutePrediction[] {
  return routes
    .map((route) => predictRoute(route, situation))
    .sort((a, b) => Number(a.rejected !== undefined) - Number(b.rejected !== undefined) || a.score - b.score);
}

/**
 * Those that may be taken, best first. A device that was never seen to run is not preferred to an endpoint on the
 * strength of a guess, so its routes are not looked at where another can run: code that runs for the first time took 7
 * to 14 ms for all routes of 31 blocks, and on a first visit the prompt waited for it.
 */
function possibleRoutes(situation: Situation): readonly RoutePrediction[] {
  const routes = candidates(situation);
  const isAllowed = ({ rejected }: RoutePrediction): boolean => rejected === undefined;
  if (!situation.paces.device.isMeasured) {
    const elsewhere = routes.filter((route) => !usesPlace(route, 'device'));
    const known = ranked(elsewhere, situation).filter(isAllowed);
    if (known.length > 0) return known;
  }
  return ranked(routes, situation).filter(isAllowed);
}

/**
 * With first and last blocks here only where content must stay: elsewhere a cut more is a cost more. Times are
 * sums over blocks, so the best of these has the least at its one end or at the other.
 */
function candidates({ manifest, goal }: Situation): readonly Route[] {
  const last = manifest.blocks.length;
  const cuts = Array.from({ length: last + 1 }, (_, cut) => routeOf({ cut }, last));
  if (!goal.isPrivate || last < 3) return cuts;
  const inner = Array.from({ length: last - 2 }, (_, index) => index + 1);
  return [
    ...cuts,
    ...inner.map((until) => routeOf({ cut: 1, until: until + 1 }, last)),
    ...inner.slice(1).map((cut) => routeOf({ cut, until: last - 1 }, last)),
  ];
}

export interface RouteChoice {
  readonly best: RoutePrediction;
  readonly reason: string;
  /** By the goal's mode, though others may score better. */
  readonly isPreferred: boolean;
}

/**
 * The route to take: the best by the goal, or the place that its mode prefers. The device is preferred as soon as
 * its weights are here and it keeps up with a reader. Throws `no-plan` when nothing can run, with
 * `details.rejected`: which limit rules out each.
 */
export function chooseRoute(situation: Situation): RouteChoice {
  return chooseAmong(possibleRoutes(situation), situation);
}

/** @param byScore those that may be taken, best first */
function chooseAmong(byScore: readonly RoutePrediction[], situation: Situation): RouteChoice {
  const { goal } = situation;
  const offered = earned(byScore, goal);
  const [fastest] = offered;
  if (fastest === undefined) {
    throw new IsthmusError(
      'no-plan',
      'no plan may make this text: see details.rejected for what rules out each',
      {
        details: {
          rejected: Object.fromEntries(
            rankRoutes(situation).map(({ route, rejected }) => [route.id, rejected]),
          ),
        },
      },
    );
  }
  const local = offered.find(({ route }) => !usesPlace(route, 'endpoint'));
  if (goal.mode === 'prefer-device' && local !== undefined && isHere(local.route, situation)) {
    if (local.msPerToken <= READING_MS_PER_TOKEN) {
      return {
        best: local,
        reason: `the device makes a token in ${round(local.msPerToken)} ms, faster than one reads`,
        isPreferred: true,
      };
    }
  }
  const remote = offered.find(({ route }) => !usesPlace(route, 'device'));
  if (
    goal.mode === 'prefer-cloud' &&
    remote !== undefined &&
    isBearable(remote.totalMs, fastest.totalMs, goal)
  ) {
    return { best: remote, reason: 'the endpoint is preferred and bearable', isPreferred: true };
  }
  const isSoonest = offered.every(({ totalMs }) => fastest.totalMs <= totalMs);
  const isNear = fastest !== byScore[0];
  const best = isSoonest
    ? 'the least'
    : isNear
      ? 'a cut gains too little, the next'
      : 'the best by the objective';
  const of = offered.length === 1 ? 'the only plan that can run now' : `${best} of ${offered.length} plans`;
  return { best: fastest, reason: `predicted ${Math.round(fastest.totalMs)} ms, ${of}`, isPreferred: false };
}

/** A cut that gains little stands behind the one place that it would replace. `ranked` come best first. */
function earned(ranked: readonly RoutePrediction[], goal: Goal): readonly RoutePrediction[] {
  const [best] = ranked;
  if (best === undefined || best.route.legs.length === 1 || isPriced(goal)) return ranked;
  const alone = ranked.find(({ route }) => route.legs.length === 1);
  if (alone === undefined || best.score <= (1 - LEAST_CUT_GAIN) * alone.score) return ranked;
  return [alone, ...ranked.filter((one) => one !== alone)];
}

/**
 * Where a text starts that may move later: at the place that speaks first when the one to prefer keeps the
 * reader waiting, for the move itself costs no pause. Only where the two have no place in common: from a cut to one of its ends
 * the place that stays has all rows of the other's blocks to run beside the steps of both.
 */
export function firstRoute(situation: Situation): RouteChoice {
  const possible = possibleRoutes(situation);
  const choice = chooseAmong(possible, situation);
  const { best } = choice;
  const { weights } = situation.goal;
  // Who pays more for the endpoint's time than for the user's does not start there for the user's sake.
  if (weights.cloud > weights.latency) return choice;
  const soonest = possible
    .filter(({ route }) => situation.paces.device.isMeasured || !usesPlace(route, 'device'))
    .filter(({ route }) => !sharesPlace(route, best.route))
    .sort((a, b) => a.ttftMs - b.ttftMs)[0];
  if (soonest === undefined || best.ttftMs - soonest.ttftMs < FELT_WAIT_MS) return choice;
  const wait = `speaks in ${Math.round(soonest.ttftMs)} ms where ${best.route.id} takes ${Math.round(best.ttftMs)}`;
  return { best: soonest, reason: wait, isPreferred: false };
}

/** A better route than the running one for what is left, or `undefined`. */
export function betterRoute(
  running: Route,
  situation: Situation,
): { readonly best: RoutePrediction; readonly reason: string } | undefined {
  // Beside a running text nothing is waited for: only what is here counts, and it is built meanwhile.
  const { best, reason, isPreferred } = chooseRoute({ ...situation, canFetch: false, buildMs: () => 0 });
  if (best.route.id === running.id) return undefined;
  const stay = predictRoute(running, { ...situation, lacking: () => 1 });
  if (!isPreferred && best.scorePerToken > MOVE_GAIN * stay.scorePerToken) return undefined;
  return { best, reason };
}

function isHere(route: Route, situation: Situation): boolean {
  return route.legs.every((leg) => leg.place === 'endpoint' || situation.missingBytes(leg) === 0);
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
