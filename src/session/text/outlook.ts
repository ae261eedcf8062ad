/**
 * What an engine of texts expects of routes: how fast both places are, how long answers have been, and so which route
 * is to be taken, taken over, or built for.
 */
import { IsthmusError } from '../../errors.ts';
import type { Answer } from './answer.ts';
import { betterRoute, chooseRoute, firstRoute, rankRoutes } from './choose-route.ts';
import { stateRowBytes } from './crossing-bytes.ts';
import type { TextPlaces, TextRequest } from './engine-types.ts';
import type { LaneSet } from './lane-set.ts';
import { FIRST_ROWS, likelyRoute, unlessNone } from './likely-route.ts';
import type { MoveCosts } from './move.ts';
import type { Target } from './mover.ts';
import { Pace } from './pace.ts';
import { forbids, type Situation } from './predict-route.ts';
import { type Leg, type PlaceName, type Route, routeOf, usesPlace } from './route.ts';
import { isPiece, piecesOf, stagesOf } from './route-stages.ts';
import type { TextPlan } from './types.ts';

/** Tokens of an answer before there was one, and the weight of the newest. */
const USUAL_TOKENS = 128;
const USUAL_RATE = 0.3;

type Wishes = Pick<TextRequest, 'goal' | 'trips'>;

export class Outlook {
  readonly paces: { readonly [place in PlaceName]: Pace };
  readonly #places: TextPlaces;
  readonly #lanes: () => LaneSet;
  /** Tokens of an answer, as they have been. */
  #usual = USUAL_TOKENS;
  /** Rows that the latest text lacked where it began. */
  #rows = FIRST_ROWS;

  /** @param lanes those of the present text */
  constructor(places: TextPlaces, lanes: () => LaneSet) {
    this.#places = places;
    this.#lanes = lanes;
    this.paces = { device: new Pace(places.manifest), endpoint: new Pace(places.manifest, 1 / 2) };
    const { length } = places.manifest.blocks;
    places.onEndpointTimes?.((span, rows, ms) => {
      this.paces.endpoint.learn(span, rows, ms, isPiece(rows, span.to - span.from < length));
    });
  }

  noteBegin(rows: number): void {
    this.#rows = rows;
  }

  noteEnd(tokens: number): void {
    this.#usual += USUAL_RATE * (tokens - this.#usual);
  }

  /** Throws `no-plan` for what the goal rules out, and `bad-option` for cuts that the model does not have. */
  asked(plan: Exclude<TextPlan, 'auto'>, { goal }: Wishes): Route {
    const { manifest } = this.#places;
    const route = routeOf(plan, manifest.blocks.length);
    const rejected = forbids(goal, route, manifest);
    if (rejected === undefined) return route;
    throw new IsthmusError('no-plan', `plan '${route.id}' was asked for, and ${rejected}`, {
      details: { rejected: { [route.id]: rejected } },
    });
  }

  /** Throws `no-plan`. */
  first(request: TextRequest, tokens: readonly number[]): Target {
    if (request.plan !== 'auto') return { route: this.asked(request.plan, request), reason: 'asked for' };
    const situation = this.#situation(request, tokens, this.#expected(request.maxTokens));
    const { best, reason } = request.move ? firstRoute(situation) : chooseRoute(situation);
    return { route: best.route, reason };
  }

  /** A better route than the running one, now or supposed that some things were otherwise. */
  better(
    request: TextRequest,
    current: Route,
    { tokens, until }: Answer,
    supposed: Partial<Situation> = {},
  ): Target | undefined {
    if (!request.move || request.plan !== 'auto') return undefined;
    const left = this.#expected(until - tokens.length);
    return unlessNone(() => {
      const found = betterRoute(current, { ...this.#situation(request, tokens, left), ...supposed });
      return found && { route: found.best.route, reason: found.reason };
    });
  }

  /** So many of the first blocks would run here if all weights were here. */
  wantedHere(request: TextRequest, current: Route, answer: Answer): number {
    const all = { missingBytes: () => 0, lacking: () => 1 };
    const [leg] = this.better(request, current, answer, all)?.route.legs ?? [];
    return leg?.place === 'device' ? leg.span.to : 0;
  }

  /** Where to go on when a place failed; nothing where no other route can run. Throws `no-plan`. */
  elsewhere(
    request: TextRequest,
    failed: Route,
    place: PlaceName,
    tokens: readonly number[],
  ): Route | undefined {
    const situation = this.#situation(request, tokens, this.#expected(request.maxTokens));
    const { best } = chooseRoute(situation);
    if (best.route.id !== failed.id) return best.route;
    const apart = ({ route, rejected }: { readonly route: Route; readonly rejected?: string }): boolean =>
      rejected === undefined && !usesPlace(route, place);
    return rankRoutes(situation).find(apart)?.route;
  }

  /** What a text like the latest would run on if everything that is here were built; nothing where nothing can run. */
  likely(wishes: Wishes): Route | undefined {
    return likelyRoute(this.#situation(wishes, [], this.#expected(Infinity)), this.#rows);
  }

  /** In how many pieces so many rows pass these legs. */
  pieces(legs: readonly Leg[], rows: number): number {
    const measured = { manifest: this.#places.manifest, paces: this.paces, link: this.#places.link() };
    const stages = legs.flatMap((leg) => stagesOf(measured, leg, rows, legs.length > 1));
    return piecesOf(this.paces, legs, stages, rows);
  }

  costs(): MoveCosts {
    const { manifest } = this.#places;
    return {
      recompute: (place, span, rows) => this.paces[place].ms(span, Math.max(1, rows)),
      transfer: (to, { from, to: end }, rows) => {
        const link = this.#places.link();
        const rate = to === 'device' ? link.downBytesPerSecond : link.upBytesPerSecond;
        return link.rttMs + ((stateRowBytes(manifest, from, end) * rows) / rate) * 1000;
      },
    };
  }

  /** How long the answer will be is not known; answers of one conversation are alike. */
  #expected(most: number): number {
    return Math.max(1, Math.min(most, Math.round(this.#usual)));
  }

  #situation(request: Wishes, tokens: readonly number[], newTokens: number): Situation {
    const places = this.#places;
    const lanes = this.#lanes();
    return {
      manifest: places.manifest,
      paces: this.paces,
      link: places.link(),
      hasEndpoint: places.hasEndpoint(),
      canFetch: places.canFetch(),
      missingBytes: (leg) => places.missingBytes(leg),
      buildMs: (leg) => places.buildMs(leg),
      // Blocks may hold the less of it the later they are; what earlier ones have run is not run again.
      lacking: ({ place, span }) => tokens.length - Math.floor(lanes[place]?.filledOnMean(span) ?? 0),
      newTokens,
      trips: request.trips(tokens),
      goal: request.goal,
    };
  }
}
