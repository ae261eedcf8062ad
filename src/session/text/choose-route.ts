/** Which route a text should take: predicted times of each, and the one to prefer; pure. */
import { IsthmusError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { LinkEstimate } from '../../planner/types.ts';
import type { Pace } from './pace.ts';
import { type Leg, type PlaceName, type Route, routeOf, usesPlace } from './route.ts';
import type { TextMode } from './types.ts';

/** People read some 5 tokens a second, fast ones 10; a device that makes as many keeps nobody waiting. */
export const READING_MS_PER_TOKEN = 100;

/** A move must promise this much less time for what is left, or it is not worth its own cost. */
const MOVE_GAIN = 0.85;

/** Waits for a first token that differ by less are alike to a person. */
const FELT_WAIT_MS = 300;

/** Header and envelope of one message, beside its tensors. */
const MESSAGE_BYTES = 200;

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
  readonly mode: TextMode;
}

export interface RoutePrediction {
  readonly route: Route;
  readonly ttftMs: number;
  readonly msPerToken: number;
  readonly totalMs: number;
  /** Absent for routes that may be taken. */
  readonly rejected?: string;
}

/** Bytes of one row that crosses at `cut`. */
export function rowBytes(manifest: Manifest, cut: number): number {
  const sent = manifest.cuts[cut]?.crossings.step?.sent ?? [];
  return sent.reduce((sum, tensor) => sum + tensor.bytes.perUnit, 0);
}

/** Bytes of the state of one position in blocks `[from, to)`. */
export function stateRowBytes(manifest: Manifest, from: number, to: number): number {
  const [stage] = manifest.stages;
  if (stage?.kind !== 'loop') return 0;
  return stage.states
    .filter(({ block, growth }) => growth !== 'replace' && block >= from && block < to)
    .reduce((sum, { dims, dtype, axis }) => {
      const elements = dims.reduce<number>((all, dim, at) => all * (at === axis ? 1 : (dim ?? 1)), 1);
      return sum + elements * (dtype === 'float16' ? 2 : 4);
    }, 0);
}

export function predictRoute(route: Route, situation: Situation): RoutePrediction {
  const { manifest, paces, link, lacking, newTokens } = situation;
  let ttftMs = 0;
  let msPerToken = 0;
  const isSplit = route.legs.length > 1;
  let rejected: string | undefined;
  for (const leg of route.legs) {
    const rows = Math.max(1, lacking(leg));
    ttftMs += paces[leg.place].ms(leg.span, rows);
    msPerToken += paces[leg.place].ms(leg.span, 1);
    if (leg.place === 'endpoint') {
      if (!situation.hasEndpoint) rejected = 'the endpoint cannot be reached';
      const up = leg.span.from === 0 ? 8 : rowBytes(manifest, leg.span.from);
      const down = leg.span.to === manifest.blocks.length ? 8 : rowBytes(manifest, leg.span.to);
      const bytesMs = (rowsUp: number): number =>
        ((rowsUp * up + MESSAGE_BYTES) / link.upBytesPerSecond +
          (down + MESSAGE_BYTES) / link.downBytesPerSecond) *
        1000;
      ttftMs += link.rttMs + bytesMs(rows);
      if (isSplit) msPerToken += (link.rttMs + bytesMs(1)) / Math.max(1, situation.tokensPerTrip);
      continue;
    }
    ttftMs += situation.buildMs(leg);
    const missing = situation.missingBytes(leg);
    if (missing > 0) {
      ttftMs += link.rttMs + (missing / link.downBytesPerSecond) * 1000;
      if (!situation.canFetch) rejected = `${missing} bytes of weights are not here and cannot be fetched`;
    }
  }
  return {
    route,
    ttftMs,
    msPerToken,
    totalMs: ttftMs + Math.max(0, newTokens - 1) * msPerToken,
    ...(rejected === undefined ? {} : { rejected }),
  };
}

/** Every route that the planner considers by itself, best first. */
export function rankRoutes(situation: Situation): readonly RoutePrediction[] {
  const blocks = situation.manifest.blocks.length;
  const cuts = Array.from({ length: blocks + 1 }, (_, cut) => routeOf({ cut }, blocks));
  return cuts
    .map((route) => predictRoute(route, situation))
    .sort(
      (a, b) => Number(a.rejected !== undefined) - Number(b.rejected !== undefined) || a.totalMs - b.totalMs,
    );
}

/**
 * The route to take. `fastest` takes the least predicted time; `prefer-device` takes the device as soon as
 * its weights are here and it keeps up with a reader. Throws `no-plan` when nothing can run.
 */
export function chooseRoute(situation: Situation): {
  readonly best: RoutePrediction;
  readonly reason: string;
} {
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
      'neither the endpoint nor the weights on this device can make this text',
      {
        details: {
          rejected: rankRoutes(situation).map(({ route, rejected }) => ({ plan: route.id, rejected })),
        },
      },
    );
  }
  const local = ranked.find(({ route }) => !usesPlace(route, 'endpoint'));
  if (situation.mode === 'prefer-device' && local !== undefined && isHere(local.route, situation)) {
    if (local.msPerToken <= READING_MS_PER_TOKEN) {
      return {
        best: local,
        reason: `the device makes a token in ${round(local.msPerToken)} ms, faster than one reads`,
      };
    }
  }
  const of = ranked.length === 1 ? 'the only plan that can run now' : `the least of ${ranked.length} plans`;
  return { best: fastest, reason: `predicted ${Math.round(fastest.totalMs)} ms, ${of}` };
}

/**
 * Where a text starts that may move later: at the place that speaks first when the one to prefer keeps the
 * reader waiting, for the move itself costs no pause.
 */
export function firstRoute(situation: Situation): ReturnType<typeof chooseRoute> {
  const { best, reason } = chooseRoute(situation);
  const soonest = rankRoutes(situation)
    .filter(({ rejected }) => rejected === undefined)
    .filter(({ route }) => situation.paces.device.isMeasured || !usesPlace(route, 'device'))
    .sort((a, b) => a.ttftMs - b.ttftMs)[0];
  if (soonest === undefined || best.ttftMs - soonest.ttftMs < FELT_WAIT_MS) return { best, reason };
  const wait = `speaks in ${Math.round(soonest.ttftMs)} ms where ${best.route.id} takes ${Math.round(best.ttftMs)}`;
  return { best: soonest, reason: wait };
}

/** A better route than the running one for what is left, or `undefined`. */
export function betterRoute(
  running: Route,
  situation: Situation,
): { readonly best: RoutePrediction; readonly reason: string } | undefined {
  // Beside a running text nothing is waited for: only what is here counts.
  const { best, reason } = chooseRoute({ ...situation, canFetch: false });
  if (best.route.id === running.id) return undefined;
  const stay = predictRoute(running, { ...situation, lacking: () => 1 });
  const prefersDevice = situation.mode === 'prefer-device' && !usesPlace(best.route, 'endpoint');
  if (
    !prefersDevice &&
    best.msPerToken * situation.newTokens > MOVE_GAIN * stay.msPerToken * situation.newTokens
  ) {
    return undefined;
  }
  return { best, reason };
}

function isHere(route: Route, situation: Situation): boolean {
  return route.legs.every((leg) => leg.place === 'endpoint' || situation.missingBytes(leg) === 0);
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
