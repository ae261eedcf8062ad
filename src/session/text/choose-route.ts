/** Which route a text should take: predicted times of each, and the one to prefer; pure. */
import { IsthmusError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import { type Goal, isBearable, limitOf, type PlanUse, scoreOf } from '../../planner/objective.ts';
import type { LinkEstimate } from '../../planner/types.ts';
import { MESSAGE_BYTES, rowBytes, TOKEN_BYTES } from './crossing-bytes.ts';
import { overlapMs, type Stage } from './overlap.ts';
import type { Pace } from './pace.ts';
import { type Leg, type PlaceName, type Route, routeOf, sharesPlace, usesPlace } from './route.ts';
import { piecesOf, stagesOf } from './route-stages.ts';

/** People read some 5 tokens a second, fast ones 10; a device that makes as many keeps nobody waiting. */
export const READING_MS_PER_TOKEN = 100;

/** A move must promise this much less time for what is left, or it is not worth its own cost. */
const MOVE_GAIN = 0.85;

/** Waits for a first token that differ by less are alike to a person. */
const FELT_WAIT_MS = 300;

export interface Situation {
  readonly manifest: Manifest;
  readonly paces: { readonly [place in PlaceName]: Pace };
  readonly link: LinkEstimate;
  /** False when there is no endpoint, or it is known to be down. */
  readonly hasEndpoint: boolean;
  /** Weights that blocks of a span lack here. */
  readonly missingBytes: (leg: Leg) => number;
  /** Ms until blocks of a leg that are not built yet can run. */
  readonly buildMs: (leg: Leg) => number;
  /** False when missing weights cannot be fetched now. */
  readonly canFetch: boolean;
  /** Rows that a leg has to run before the next token. */
  readonly lacking: (leg: Leg) => number;
  /** Tokens still expected. */
  readonly newTokens: number;
  /** Tokens that a trip is expected to confirm under a route with a cut, 1 without drafts. */
  readonly tokensPerTrip: number;
  readonly goal: Goal;
}

export interface RoutePrediction {
  readonly route: Route;
  readonly ttftMs: number;
  readonly msPerToken: number;
  readonly totalMs: number;
  /** All of it, and one of its later tokens, in ms of waiting by the goal. */
  readonly score: number;
  readonly scorePerToken: number;
  /** Absent for routes that may be taken. */
  readonly rejected?: string;
}

export function predictRoute(route: Route, situation: Situation): RoutePrediction {
  const { manifest, paces, link, lacking, newTokens, goal } = situation;
  const first = noUse();
  const each = noUse();
  const isSplit = route.legs.length > 1;
  let rejected: string | undefined;
  const stages: Stage[] = [];
  let most = 1;
  let waitMs = 0;
  let latencyMs = 0;
  const rowsOf = rowsThrough(route, lacking);
  for (const [index, leg] of route.legs.entries()) {
    const rows = rowsOf[index] ?? 1;
    const placeMs = leg.place === 'device' ? 'deviceMs' : 'endpointMs';
    most = Math.max(most, rows);
    for (const stage of stagesOf(situation, leg, rows)) {
      stages.push(stage);
      first[stage.on === leg.place ? placeMs : 'linkMs'] += stage.ms;
    }
    each[placeMs] += paces[leg.place].ms(leg.span, 1);
    if (leg.place === 'endpoint') {
      if (!situation.hasEndpoint) rejected = 'the endpoint cannot be reached';
      const isLast = leg.span.to === manifest.blocks.length;
      const up = leg.span.from === 0 ? TOKEN_BYTES : rowBytes(manifest, leg.span.from);
      const down = isLast ? TOKEN_BYTES : rowBytes(manifest, leg.span.to);
      const perTrip = Math.max(1, situation.tokensPerTrip);
      latencyMs += link.rttMs;
      first.linkMs += link.rttMs;
      first.bytesUp += rows * up + MESSAGE_BYTES;
      first.bytesDown += (isLast ? 1 : rows) * down + MESSAGE_BYTES;
      each.bytesDown += down + MESSAGE_BYTES / perTrip;
      if (!isSplit) continue;
      const rowMs =
        ((up + MESSAGE_BYTES) / link.upBytesPerSecond + (down + MESSAGE_BYTES) / link.downBytesPerSecond) *
        1000;
      each.linkMs += (link.rttMs + rowMs) / perTrip;
      each.bytesUp += up + MESSAGE_BYTES / perTrip;
      continue;
    }
    waitMs += situation.buildMs(leg);
    const missing = situation.missingBytes(leg);
    if (missing > 0) {
      waitMs += link.rttMs + (missing / link.downBytesPerSecond) * 1000;
      if (!situation.canFetch) rejected = `${missing} bytes of weights are not here and cannot be fetched`;
    }
  }
  // Less than the sum of what is used: pieces of a long text are on their way while others are made.
  const ttftMs = waitMs + latencyMs + overlapMs(stages, most, piecesOf(paces, route.legs, stages, most));
  const msPerToken = timeOf(each);
  const later = Math.max(0, newTokens - 1);
  const totalMs = ttftMs + later * msPerToken;
  const whole = { ...plus(first, each, later), totalMs };
  rejected ??= forbids(goal, route, manifest, whole.bytesUp);
  return {
    route,
    ttftMs,
    msPerToken,
    totalMs,
    score: scoreOf(whole, goal),
    // A deadline is the whole answer's affair.
    scorePerToken: scoreOf({ ...each, totalMs: msPerToken }, { ...goal, deadlineMs: Infinity }),
    ...(rejected === undefined ? {} : { rejected }),
  };
}

/** Rows of each leg before the next token: those that a later leg lacks pass through it too. */
function rowsThrough({ legs }: Route, lacking: Situation['lacking']): readonly number[] {
  const rows: number[] = [];
  let most = 1;
  for (const leg of [...legs].reverse()) {
    most = Math.max(most, lacking(leg));
    rows.unshift(most);
  }
  return rows;
}

type Use = { -readonly [name in keyof Omit<PlanUse, 'totalMs'>]: number };

function noUse(): Use {
  return { deviceMs: 0, endpointMs: 0, linkMs: 0, bytesUp: 0, bytesDown: 0 };
}

function timeOf({ deviceMs, endpointMs, linkMs }: Use): number {
  return deviceMs + endpointMs + linkMs;
}

/** `a` once and `b` so many times. */
function plus(a: Use, b: Use, times: number): Use {
  return {
    deviceMs: a.deviceMs + times * b.deviceMs,
    endpointMs: a.endpointMs + times * b.endpointMs,
    linkMs: a.linkMs + times * b.linkMs,
    bytesUp: a.bytesUp + times * b.bytesUp,
    bytesDown: a.bytesDown + times * b.bytesDown,
  };
}

/** Whether the endpoint sees prompt or answer as tokens. */
function showsContent(route: Route, { blocks }: Manifest): boolean {
  return route.legs.some(
    ({ place, span }) => place === 'endpoint' && (span.from === 0 || span.to === blocks.length),
  );
}

function deviceWeights(route: Route, { blocks }: Manifest): number {
  return route.legs
    .filter(({ place }) => place === 'device')
    .flatMap(({ span }) => blocks.slice(span.from, span.to))
    .reduce((sum, { weightBytes }) => sum + weightBytes, 0);
}

/** Why a route may not run, by the goal alone; `undefined` when it may. How much a text sends is known only in a situation. */
export function forbids(goal: Goal, route: Route, manifest: Manifest, bytesUp = 0): string | undefined {
  return limitOf(
    {
      usesDevice: usesPlace(route, 'device'),
      usesEndpoint: usesPlace(route, 'endpoint'),
      showsContent: showsContent(route, manifest),
      bytesUp,
      weightBytes: deviceWeights(route, manifest),
    },
    goal,
  );
}

/** Every route that the planner considers by itself, best first. */
export function rankRoutes(situation: Situation): readonly RoutePrediction[] {
  return candidates(situation)
    .map((route) => predictRoute(route, situation))
    .sort((a, b) => Number(a.rejected !== undefined) - Number(b.rejected !== undefined) || a.score - b.score);
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
  const { goal } = situation;
  const possible = rankRoutes(situation).filter(({ rejected }) => rejected === undefined);
  // A device that was never seen to run is not preferred to an endpoint on the strength of a guess.
  const isGuess = ({ route }: RoutePrediction): boolean =>
    !situation.paces.device.isMeasured && usesPlace(route, 'device');
  const known = possible.filter((one) => !isGuess(one));
  const ranked = known.length > 0 ? known : possible;
  const [fastest] = ranked;
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
  const local = ranked.find(({ route }) => !usesPlace(route, 'endpoint'));
  if (goal.mode === 'prefer-device' && local !== undefined && isHere(local.route, situation)) {
    if (local.msPerToken <= READING_MS_PER_TOKEN) {
      return {
        best: local,
        reason: `the device makes a token in ${round(local.msPerToken)} ms, faster than one reads`,
        isPreferred: true,
      };
    }
  }
  const remote = ranked.find(({ route }) => !usesPlace(route, 'device'));
  if (
    goal.mode === 'prefer-cloud' &&
    remote !== undefined &&
    isBearable(remote.totalMs, fastest.totalMs, goal)
  ) {
    return { best: remote, reason: 'the endpoint is preferred and bearable', isPreferred: true };
  }
  const isSoonest = ranked.every(({ totalMs }) => fastest.totalMs <= totalMs);
  const best = isSoonest ? 'the least' : 'the best by the objective';
  const of = ranked.length === 1 ? 'the only plan that can run now' : `${best} of ${ranked.length} plans`;
  return { best: fastest, reason: `predicted ${Math.round(fastest.totalMs)} ms, ${of}`, isPreferred: false };
}

/**
 * Where a text starts that may move later: at the place that speaks first when the one to prefer keeps the
 * reader waiting, for the move itself costs no pause. Only where the two have no place in common: from a cut to one of its ends
 * the place that stays has all rows of the other's blocks to run beside the steps of both.
 */
export function firstRoute(situation: Situation): RouteChoice {
  const choice = chooseRoute(situation);
  const { best } = choice;
  const { weights } = situation.goal;
  // Who pays more for the endpoint's time than for the user's does not start there for the user's sake.
  if (weights.cloud > weights.latency) return choice;
  const soonest = rankRoutes(situation)
    .filter(({ rejected }) => rejected === undefined)
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
