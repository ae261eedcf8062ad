import { IsthmusError, isIsthmusError, throwIfAborted } from '../../errors.ts';
import { InTurn } from '../../runtime/in-turn.ts';
import { catchUpAhead } from './ahead.ts';
import { Answer } from './answer.ts';
import { betterRoute, chooseRoute, firstRoute, forbids, rankRoutes, type Situation } from './choose-route.ts';
import { climb, nextClimb } from './climb.ts';
import { stateRowBytes } from './crossing-bytes.ts';
import { type DecodeEnd, decodeRoute } from './decode-route.ts';
import type { TextOutcome, TextPlaces, TextRequest } from './engine-types.ts';
import { HeldLane } from './held-lane.ts';
import type { MoveCosts } from './move.ts';
import { type Move, Mover, type Target } from './mover.ts';
import { Pace } from './pace.ts';
import { type Leg, leavesOf, type PlaceName, type Route, routeOf, usesPlace } from './route.ts';
import { piecesOf, stagesOf } from './route-stages.ts';
import type { TextPlan } from './types.ts';

/** Failures that another lane, or another place, may not have. */
const RECOVERABLE: readonly string[] = [
  'endpoint-lost',
  'endpoint-failed',
  'endpoint-stopping',
  'unknown-session',
  'worker-lost',
  'run-failed',
  'weights-missing',
  'limit-exceeded',
];

/** Tokens of an answer before there was one, and the weight of the newest. */
const USUAL_TOKENS = 128;
const USUAL_RATE = 0.3;

/** Rows that a text lacks where it begins, before one has come: a sentence or two in a template. */
const FIRST_ROWS = 48;

/** Tokens after which a running answer is looked at anew: paces and links change without an event. */
const LOOK_EVERY = 32;

/** A place that is ready to take over waits no longer than so many ms for the other's next token. */
const STALL_MS = 250;

/** Times that one answer may go on elsewhere; an endless fall between two bad places helps nobody. */
const MAX_RECOVERIES = 8;

export class TextEngine {
  readonly paces: { readonly [place in PlaceName]: Pace };
  /** For what runs on the device beside texts. */
  readonly beside = new InTurn();
  readonly #places: TextPlaces;
  #lanes: { [place in PlaceName]?: HeldLane } = {};
  /** The text that the lanes hold a beginning of. */
  #held: readonly number[] = [];
  readonly #mover = new Mover();
  /** Tokens of an answer, as they have been. */
  #usual = USUAL_TOKENS;
  /** Rows that the latest text lacked where it began. */
  #rows = FIRST_ROWS;

  constructor(places: TextPlaces) {
    this.#places = places;
    this.paces = { device: new Pace(places.manifest), endpoint: new Pace(places.manifest, 1 / 2) };
    places.onEndpointTimes?.((span, rows, ms) => this.paces.endpoint.learn(span, rows, ms));
  }

  /** Moves the answer under way, or the next one's start; resolves when the new plan runs. */
  moveTo(plan: Exclude<TextPlan, 'auto'>): Promise<void> {
    routeOf(plan, this.#places.manifest.blocks.length);
    return this.#mover.ask(plan);
  }

  async run(request: TextRequest): Promise<TextOutcome> {
    const tokens = [...request.tokens];
    const answerFrom = tokens.length;
    const reused = this.#keepCommon(tokens);
    this.#held = tokens;
    this.#rows = tokens.length - reused;
    await this.#places.refresh();
    let { route, reason } = this.#first(request, tokens);
    let error: IsthmusError | undefined;
    const until = answerFrom + request.maxTokens;
    const answer = new Answer(tokens, until, request.onToken, request.now);
    for (let recoveries = 0; ; ) {
      throwIfAborted(request.signal);
      request.onPeriod({
        plan: route.id,
        fromToken: tokens.length - answerFrom,
        reason,
        leaves: leavesOf(this.#places.manifest, route),
        ...(error === undefined ? {} : { error }),
      });
      error = undefined;
      try {
        const end = await this.#period(request, route, answer);
        throwIfAborted(request.signal);
        if (!('next' in end) && end.reason !== 'halted') {
          this.#usual += USUAL_RATE * (tokens.length - answerFrom - this.#usual);
        }
        if (answer.isOver) return { tokens: tokens.slice(answerFrom), reason: 'stopped', reused };
        if ('next' in end) {
          ({ route, reason } = end.next);
          continue;
        }
        if (end.reason === 'halted') continue;
        return { tokens: tokens.slice(answerFrom), reason: end.reason, reused };
      } catch (thrown) {
        throwIfAborted(request.signal);
        if (!isIsthmusError(thrown) || !RECOVERABLE.includes(thrown.code)) throw thrown;
        recoveries += 1;
        if (recoveries > MAX_RECOVERIES) throw thrown;
        error = thrown;
        ({ route, reason } = await this.#recover(request, route, tokens, error));
      }
    }
  }

  /** What a text like the latest would run on if everything that is here were built; nothing where nothing can run. */
  likely(wishes: Pick<TextRequest, 'goal' | 'tokensPerTrip'>): Route | undefined {
    const situation = this.#situation(wishes, [], this.#expected(Infinity));
    const lacking = (): number => this.#rows;
    try {
      return chooseRoute({ ...situation, lacking, canFetch: false, buildMs: () => 0 }).best.route;
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      return undefined;
    }
  }

  /** Frees the lanes; the next text begins anew. */
  async close(): Promise<void> {
    const lanes = Object.values(this.#lanes);
    this.#lanes = {};
    this.#held = [];
    for (const lane of lanes) await lane.close().catch(() => undefined);
  }

  /** Cuts the lanes back to what the new text has in common with the held one. */
  #keepCommon(tokens: readonly number[]): number {
    let common = 0;
    while (common < tokens.length && tokens[common] === this.#held[common]) common += 1;
    for (const lane of Object.values(this.#lanes)) lane.rewind(common);
    const blocks = { from: 0, to: this.#places.manifest.blocks.length };
    // A text may be held by halves: what is reused is what no place has to run again.
    const held = Object.values(this.#lanes).map((lane) => lane.filled(blocks));
    return Math.min(tokens.length - 1, Math.max(0, ...held));
  }

  #first(request: TextRequest, tokens: readonly number[]): { route: Route; reason: string } {
    const { plan } = request;
    const wish = this.#mover.takeAsked((asked) => this.#asked(asked, request));
    if (wish !== undefined) return { route: wish, reason: 'asked for' };
    if (plan !== 'auto') return { route: this.#asked(plan, request), reason: 'asked for' };
    const situation = this.#situation(request, tokens, this.#expected(request.maxTokens));
    const { best, reason } = request.move ? firstRoute(situation) : chooseRoute(situation);
    return { route: best.route, reason };
  }

  /** Throws `no-plan` for what the goal rules out, and `bad-option` for cuts that the model does not have. */
  #asked(plan: Exclude<TextPlan, 'auto'>, { goal }: TextRequest): Route {
    const { manifest } = this.#places;
    const route = routeOf(plan, manifest.blocks.length);
    const rejected = forbids(goal, route, manifest);
    if (rejected === undefined) return route;
    throw new IsthmusError('no-plan', `plan '${route.id}' was asked for, and ${rejected}`, {
      details: { rejected: { [route.id]: rejected } },
    });
  }

  /** How long the answer will be is not known; answers of one conversation are alike. */
  #expected(most: number): number {
    return Math.max(1, Math.min(most, Math.round(this.#usual)));
  }

  #situation(
    request: Pick<TextRequest, 'goal' | 'tokensPerTrip'>,
    tokens: readonly number[],
    newTokens: number,
  ): Situation {
    const places = this.#places;
    return {
      manifest: places.manifest,
      paces: this.paces,
      link: places.link(),
      hasEndpoint: places.hasEndpoint(),
      canFetch: places.canFetch(),
      missingBytes: (leg) => places.missingBytes(leg),
      buildMs: (leg) => places.buildMs(leg),
      lacking: ({ place, span }) => tokens.length - Math.floor(this.#lanes[place]?.filledOnMean(span) ?? 0),
      newTokens,
      tokensPerTrip: request.tokensPerTrip(),
      goal: request.goal,
    };
  }

  /** One route until the answer ends, another route takes over, or something fails. */
  async #period(
    request: TextRequest,
    route: Route,
    answer: Answer,
  ): Promise<DecodeEnd | { readonly next: { route: Route; reason: string } }> {
    for (const leg of route.legs) {
      await this.#places.ready(leg, request.signal);
      this.#lanes[leg.place] ??= await this.#open(leg.place, request.signal);
    }
    const { tokens, from: answerFrom, until } = answer;
    await this.#climb(route, tokens, request.signal);
    const halt = new AbortController();
    const speaker = answer.speaker();
    const take = (token: number): boolean => {
      const goesOn = speaker.take(token);
      if (answer.isOver) halt.abort();
      else if (goesOn && (tokens.length - answerFrom) % LOOK_EVERY === 0) this.#mover.nudge();
      return goesOn;
    };
    const stop = (): void => halt.abort();
    request.signal?.addEventListener('abort', stop, { once: true });
    const over = new AbortController();
    // Called before the old route has ended: what that still makes is not heard.
    let handOver: (move: Move) => void = () => undefined;
    const handedOver = new Promise<Move>((resolve) => {
      handOver = (move) => {
        speaker.silence();
        resolve(move);
      };
    });
    const mover = this.#mover
      .look({
        current: route,
        lanes: this.#lanes,
        tokens,
        places: this.#places,
        asked: (plan) => this.#asked(plan, request),
        costs: this.#costs(),
        sampling: request.sampling,
        open: (place) => this.#open(place, over.signal),
        better: () => this.#better(request, route, answer),
        ahead: (stop) => this.#ahead(request, route, answer, stop),
        over: over.signal,
      })
      .then(async (move) => {
        if (move === undefined) return move;
        const { prepared } = move;
        // What either fails at is left to the switch.
        const beat = {
          now: request.now,
          lastAt: () => answer.lastAt,
          next: () => Promise.race([answer.next(), request.pause(STALL_MS)]),
        };
        const isMet = prepared.isApart && (await prepared.meet(beat, over.signal).catch(() => false));
        if (isMet && !over.signal.aborted && !answer.isOver) handOver(move);
        halt.abort();
        if (!isMet) await prepared.follow(over.signal).catch(() => undefined);
        return move;
      });
    // Its failure is looked at below; here it must not be unheard.
    mover.catch(() => undefined);
    try {
      const decoded = decodeRoute(
        {
          route,
          tokens,
          answerFrom,
          until,
          sampling: request.sampling,
          endTokens: request.endTokens,
          proposals: request.proposals,
          take,
          halt: halt.signal,
        },
        {
          lanes: this.#lanes,
          now: request.now,
          pieces: (legs, rows) => this.#pieces(legs, rows),
          ...(request.signal === undefined ? {} : { signal: request.signal }),
          onLeg: ({ place, span }, rows, ms) => {
            const isTold = place === 'endpoint' && this.#places.onEndpointTimes !== undefined;
            if (!isTold) this.paces[place].learn(span, rows, ms);
          },
        },
      );
      const end = await Promise.race([decoded, handedOver]);
      if ('prepared' in end) {
        for (const { place } of route.legs) this.#lanes[place]?.leave(tokens.length, decoded);
        return { next: await this.#switch(end) };
      }
      if (end.reason !== 'halted' || answer.isOver || request.signal?.aborted === true) return end;
      over.abort();
      const move = await mover;
      if (move === undefined) return end;
      return { next: await this.#switch(move) };
    } finally {
      over.abort();
      request.signal?.removeEventListener('abort', stop);
      await this.#dropUnused(mover);
    }
  }

  async #switch(move: Move): Promise<{ route: Route; reason: string }> {
    try {
      await move.prepared.finish();
    } catch (error) {
      // What could not be copied is made again by the route itself.
      if (!isIsthmusError(error)) throw error;
    }
    const before = this.#lanes;
    this.#lanes = { ...move.prepared.lanes };
    move.taken = true;
    for (const place of ['device', 'endpoint'] as const) {
      const old = before[place];
      if (old !== undefined && old !== this.#lanes[place]) await old.close().catch(() => undefined);
    }
    const how = move.prepared.how.length === 0 ? '' : ` (${move.prepared.how.join(', ')})`;
    return { route: move.route, reason: `${move.reason}${how}` };
  }

  /** A move that was prepared when the answer ended needs its lanes no more. */
  async #dropUnused(mover: Promise<Move | undefined>): Promise<void> {
    const move = await mover.catch(() => undefined);
    if (move !== undefined && !move.taken) await move.prepared.abandon();
  }

  #better(
    request: TextRequest,
    current: Route,
    { tokens, until }: Answer,
    supposed: Partial<Situation> = {},
  ): Target | undefined {
    if (!request.move || request.plan !== 'auto') return undefined;
    try {
      const left = this.#expected(until - tokens.length);
      const found = betterRoute(current, { ...this.#situation(request, tokens, left), ...supposed });
      return found && { route: found.best.route, reason: found.reason };
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      return undefined;
    }
  }

  /** Brings up blocks that an earlier answer has left behind others, where that takes less than its tokens would. */
  async #climb(
    { legs: [first] }: Route,
    tokens: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const lane = this.#lanes.device;
    if (first?.place !== 'device' || lane === undefined || lane.kept.bytes === 0) return;
    const goal = { end: first.span.to, upTo: tokens.length - 1, tokens };
    for (let next = nextClimb(lane, goal); next !== undefined; next = nextClimb(lane, goal)) {
      await climb(lane, next, signal);
    }
  }

  /** Beside a text that would be better off here if more of the weights were, and runs elsewhere till then. */
  async #ahead(request: TextRequest, current: Route, answer: Answer, stop: AbortSignal): Promise<void> {
    if (usesPlace(current, 'device')) return;
    const blocks = Math.min(this.#places.blocksHere(), this.#wanted(request, current, answer));
    if (blocks === 0) return;
    // The lanes of this period: a later one may have others.
    const lanes = this.#lanes;
    try {
      await this.#places.ready({ place: 'device', span: { from: 0, to: blocks } });
      if (stop.aborted) return;
      const lane = lanes.device ?? (await this.#open('device', stop));
      lanes.device ??= lane;
      await catchUpAhead({ blocks, lane: lanes.device, tokens: answer.tokens }, stop);
    } catch {
      // Told by the move that needs the device, if one does; that begins anew.
      const lane = lanes.device;
      delete lanes.device;
      await lane?.close().catch(() => undefined);
    }
  }

  /** So many of the first blocks would run here if all weights were here. */
  #wanted(request: TextRequest, current: Route, answer: Answer): number {
    const first = this.#better(request, current, answer, { missingBytes: () => 0, lacking: () => 1 })?.route
      .legs[0];
    return first?.place === 'device' ? first.span.to : 0;
  }

  #pieces(legs: readonly Leg[], rows: number): number {
    const measured = { manifest: this.#places.manifest, paces: this.paces, link: this.#places.link() };
    const stages = legs.flatMap((leg) => stagesOf(measured, leg, rows));
    return piecesOf(this.paces, legs, stages, rows);
  }

  #costs(): MoveCosts {
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

  async #recover(
    request: TextRequest,
    failed: Route,
    tokens: readonly number[],
    error: IsthmusError,
  ): Promise<{ route: Route; reason: string }> {
    const place = this.#placeOf(error, failed);
    const lane = this.#lanes[place];
    delete this.#lanes[place];
    await lane?.close().catch(() => undefined);
    await this.#places.lost(place, error);
    await this.#places.refresh();
    const reason = `${place} failed: ${error.message}`;
    // A lane that timed out, a worker that was started anew: the same route on a new lane.
    if (error.code === 'unknown-session' || error.code === 'worker-lost') return { route: failed, reason };
    if (!request.fallback) throw error;
    // What was not allowed to leave the device does not leave it now: a forced plan falls back here.
    if (request.plan !== 'auto') {
      if (failed.id === 'local') throw error;
      return { route: this.#asked('local', request), reason };
    }
    const situation = this.#situation(request, tokens, this.#expected(request.maxTokens));
    const { best } = chooseRoute(situation);
    if (best.route.id !== failed.id) return { route: best.route, reason };
    const other = rankRoutes(situation).find(
      ({ route, rejected }) => rejected === undefined && !usesPlace(route, place),
    );
    if (other === undefined) throw error;
    return { route: other.route, reason };
  }

  /** Whose lane threw it; what no lane threw came of getting a place ready. */
  #placeOf(error: IsthmusError, route: Route): PlaceName {
    const place = (['endpoint', 'device'] as const).find((one) => this.#lanes[one]?.hasThrown(error));
    if (place !== undefined) return place;
    const isDevice = error.code === 'weights-missing' || error.code === 'worker-lost';
    return isDevice || !usesPlace(route, 'endpoint') ? 'device' : 'endpoint';
  }

  async #open(place: PlaceName, signal: AbortSignal | undefined): Promise<HeldLane> {
    const lane = await this.#places.openLane(place, signal);
    const { blocks } = this.#places.manifest;
    return place === 'device'
      ? new HeldLane(lane, blocks.length, this.beside)
      : new HeldLane(lane, blocks.length);
  }
}
