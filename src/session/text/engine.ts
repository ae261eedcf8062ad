/** Runs texts: each on a route of one or two places, which may change while it runs. */
import { type IsthmusError, isIsthmusError, throwIfAborted } from '../../errors.ts';
import { InTurn } from '../../runtime/in-turn.ts';
import { runAhead } from './ahead.ts';
import { Answer } from './answer.ts';
import { type DecodeEnd, decodeRoute } from './decode-route.ts';
import type { TextOutcome, TextPlaces, TextRequest } from './engine-types.ts';
import type { HeldLane } from './held-lane.ts';
import { type Move, Mover, type Target } from './mover.ts';
import { Outlook } from './outlook.ts';
import type { Pace } from './pace.ts';
import { isRecoverable, MAX_RECOVERIES, placeOf, routeAfter } from './recovery.ts';
import { leavesOf, type PlaceName, type Route, routeOf, usesPlace } from './route.ts';
import { isPiece } from './route-stages.ts';
import { takeOver } from './take-over.ts';
import { TextLanes } from './text-lanes.ts';
import type { TextPlan } from './types.ts';

/** Tokens after which a running answer is looked at anew: paces and links change without an event. */
const LOOK_EVERY = 32;

export class TextEngine {
  /** For what runs on the device beside texts. */
  readonly beside = new InTurn();
  readonly #places: TextPlaces;
  readonly #lanes: TextLanes;
  readonly #mover = new Mover();
  readonly #outlook: Outlook;

  constructor(places: TextPlaces) {
    this.#places = places;
    this.#lanes = new TextLanes(places, this.beside);
    this.#outlook = new Outlook(places, () => this.#lanes.all);
  }

  get paces(): { readonly [place in PlaceName]: Pace } {
    return this.#outlook.paces;
  }

  /** What a text like the latest would run on if everything that is here were built; nothing where nothing can run. */
  likely(wishes: Pick<TextRequest, 'goal' | 'trips'>): Route | undefined {
    return this.#outlook.likely(wishes);
  }

  /** Moves the answer under way, or the next one's start; resolves when the new plan runs. */
  moveTo(plan: Exclude<TextPlan, 'auto'>): Promise<void> {
    routeOf(plan, this.#places.manifest.blocks.length);
    return this.#mover.ask(plan);
  }

  async run(request: TextRequest): Promise<TextOutcome> {
    const tokens = [...request.tokens];
    const answerFrom = tokens.length;
    const reused = await this.#lanes.begin(tokens);
    this.#outlook.noteBegin(tokens.length - reused);
    await this.#places.refresh(request);
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
          this.#outlook.noteEnd(tokens.length - answerFrom);
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
        if (!isRecoverable(thrown)) throw thrown;
        recoveries += 1;
        if (recoveries > MAX_RECOVERIES) throw thrown;
        error = thrown;
        ({ route, reason } = await this.#recover(request, route, tokens, error));
      }
    }
  }

  /** Frees the lanes; the next text begins anew. */
  close(): Promise<void> {
    return this.#lanes.close();
  }

  #first(request: TextRequest, tokens: readonly number[]): Target {
    const wish = this.#mover.takeAsked((asked) => this.#outlook.asked(asked, request));
    return wish === undefined ? this.#outlook.first(request, tokens) : { route: wish, reason: 'asked for' };
  }

  /** One route until the answer ends, another route takes over, or something fails. */
  async #period(
    request: TextRequest,
    route: Route,
    answer: Answer,
  ): Promise<DecodeEnd | { readonly next: { route: Route; reason: string } }> {
    for (const leg of route.legs) {
      await this.#places.ready(leg, request.signal);
      this.#lanes.all[leg.place] ??= await this.#lanes.open(leg.place, request.signal);
    }
    const { tokens, from: answerFrom, until } = answer;
    await this.#lanes.climb(route, tokens, request.signal);
    const halt = new AbortController();
    const speaker = answer.speaker();
    const take = (token: number): boolean => {
      const goesOn = speaker.take(token);
      if (answer.isOver) halt.abort();
      // Behind the last one nothing is left to be better off elsewhere.
      else if (goesOn && tokens.length < until && (tokens.length - answerFrom) % LOOK_EVERY === 0)
        this.#mover.nudge();
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
    // Before the plans are looked at: the first token waits for nothing.
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
        lanes: this.#lanes.all,
        now: request.now,
        pieces: (legs, rows) => this.#outlook.pieces(legs, rows),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
        onLeg: ({ place, span }, rows, ms) => {
          const isTold = place === 'endpoint' && this.#places.onEndpointTimes !== undefined;
          if (!isTold) this.paces[place].learn(span, rows, ms, isPiece(rows, route.legs.length > 1));
        },
      },
    );
    decoded.catch(() => undefined);
    const mover = this.#mover
      .look({
        current: route,
        lanes: this.#lanes.all,
        tokens,
        places: this.#places,
        asked: (plan) => this.#outlook.asked(plan, request),
        costs: this.#outlook.costs(),
        sampling: request.sampling,
        open: (place) => this.#lanes.open(place, over.signal),
        better: () => this.#outlook.better(request, route, answer),
        ahead: (stop) => this.#ahead(request, route, answer, stop),
        over: over.signal,
      })
      .then(async (move) => {
        if (move === undefined) return move;
        const { now, pause } = request;
        await takeOver(move, { answer, now, pause, over: over.signal, handOver, halt: () => halt.abort() });
        return move;
      });
    // Its failure is looked at below; here it must not be unheard.
    mover.catch(() => undefined);
    try {
      const end = await Promise.race([decoded, handedOver]);
      if ('prepared' in end) {
        for (const { place } of route.legs) this.#lanes.all[place]?.leave(tokens.length, decoded);
        return { next: await this.#switch(end) };
      }
      if (end.reason !== 'halted' || answer.isOver || request.signal?.aborted === true) return end;
      over.abort();
      const move = await mover;
      if (move === undefined) return end;
      return { next: await this.#switch(move) };
    } finally {
      over.abort();
      answer.gaps.over();
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
    move.taken = true;
    await this.#lanes.replace(move.prepared.lanes);
    const how = move.prepared.how.length === 0 ? '' : ` (${move.prepared.how.join(', ')})`;
    return { route: move.route, reason: `${move.reason}${how}` };
  }

  /** A move that was prepared when the answer ended needs its lanes no more. */
  async #dropUnused(mover: Promise<Move | undefined>): Promise<void> {
    const move = await mover.catch(() => undefined);
    if (move !== undefined && !move.taken) await move.prepared.abandon();
  }

  /** Beside a text that would be better off here if more of the weights were, and runs elsewhere till then. */
  async #ahead(request: TextRequest, current: Route, answer: Answer, stop: AbortSignal): Promise<void> {
    if (usesPlace(current, 'device')) return;
    const blocks = Math.min(this.#places.blocksHere(), this.#outlook.wantedHere(request, current, answer));
    if (blocks === 0) return;
    const open = (): Promise<HeldLane> => this.#lanes.open('device', stop);
    // The lanes of this period: a later one may have others.
    await runAhead(
      { blocks, lanes: this.#lanes.all, places: this.#places, open, tokens: answer.tokens },
      stop,
    );
  }

  async #recover(
    request: TextRequest,
    failed: Route,
    tokens: readonly number[],
    error: IsthmusError,
  ): Promise<{ route: Route; reason: string }> {
    const place = placeOf(error, failed, this.#lanes.all);
    const lane = this.#lanes.all[place];
    await this.#lanes.drop(place);
    await this.#places.lost(place, error);
    await this.#places.refresh(request);
    const isUnused = lane !== undefined && this.#lanes.isUnused(lane);
    const isOld = isUnused && tokens.length === request.tokens.length;
    const mayReturn = isOld && (this.#places.hasEndpoint() || !request.fallback);
    return routeAfter(request, { failed, place, error, tokens, mayReturn }, this.#outlook);
  }
}
