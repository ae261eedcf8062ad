/** What a text would take on a route: predicted times, and what the goal says of it; pure. */
import type { Manifest } from '../../package/manifest.ts';
import { type Goal, limitOf, type PlanUse, scoreOf } from '../../planner/objective.ts';
import type { LinkEstimate } from '../../planner/types.ts';
import { crossing, MESSAGE_BYTES } from './crossing-bytes.ts';
import type { GuessedTrip } from './guess-book.ts';
import { overlapMs, type Stage } from './overlap.ts';
import type { Pace } from './pace.ts';
import { type Leg, type PlaceName, type Route, usesPlace } from './route.ts';
import { piecesOf, stagesOf } from './route-stages.ts';

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
  /** What a trip, or a pass of one place's own loop, may bring, by the guesses that go with it; the best is taken. Not empty. */
  readonly trips: readonly GuessedTrip[];
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
  const each = perToken(route, situation);
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
    for (const stage of stagesOf(situation, leg, rows, route.legs.length > 1)) {
      stages.push(stage);
      first[stage.on === leg.place ? placeMs : 'linkMs'] += stage.ms;
    }
    if (leg.place === 'endpoint') {
      if (!situation.hasEndpoint) rejected = 'the endpoint cannot be reached';
      const { up, down, isLast } = crossing(manifest, leg);
      latencyMs += link.rttMs;
      first.linkMs += link.rttMs;
      first.bytesUp += rows * up + MESSAGE_BYTES;
      first.bytesDown += (isLast ? 1 : rows) * down + MESSAGE_BYTES;
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

/** Of one of the later tokens: a trip's or a pass's share, with the guesses that make it least. */
function perToken(route: Route, situation: Situation): Use {
  return situation.trips
    .map((trip) => ofTrip(route, situation, trip))
    .reduce((best, one) => (timeOf(one) < timeOf(best) ? one : best));
}

/** What a trip takes (Leviathan et al. 2023, section 3), shared among the tokens that it brings. */
function ofTrip({ legs }: Route, { manifest, paces, link }: Situation, trip: GuessedTrip): Use {
  const use = noUse();
  const rows = 1 + trip.rows;
  const tokens = legs.length === 1 ? trip.tokens : trip.sureTokens;
  for (const leg of legs) {
    use[leg.place === 'device' ? 'deviceMs' : 'endpointMs'] += paces[leg.place].ms(leg.span, rows) / tokens;
    if (leg.place === 'device') continue;
    const { up, down } = crossing(manifest, leg);
    // A loop at the endpoint asks for nothing more, and the tokens that it tells of come while it goes on.
    if (legs.length === 1) {
      use.bytesDown += down + MESSAGE_BYTES / tokens;
      continue;
    }
    use.bytesDown += (rows * down + MESSAGE_BYTES) / tokens;
    use.bytesUp += (rows * up + MESSAGE_BYTES) / tokens;
    const upMs = (1000 * (rows * up + MESSAGE_BYTES)) / link.upBytesPerSecond;
    const downMs = (1000 * (rows * down + MESSAGE_BYTES)) / link.downBytesPerSecond;
    use.linkMs += (link.rttMs + upMs + downMs) / tokens;
  }
  return use;
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
