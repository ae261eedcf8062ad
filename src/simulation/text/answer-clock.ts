/**
 * The virtual clock of one answer: it runs without noise from route to route, each until the answer ends or a better
 * one, prepared beside it, takes over.
 */
import { isIsthmusError } from '../../errors.ts';
import { betterRoute, firstRoute } from '../../session/text/choose-route.ts';
import type { Route } from '../../session/text/route.ts';
import { type DeviceLooks, landingsAfter } from './device-looks.ts';
import type { Played } from './forced.ts';
import { afterRoute } from './held.ts';
import type { PlayerState } from './player-state.ts';
import { firstToken } from './prefill.ts';
import { type Move, prepareMove } from './prepare-move.ts';
import { type LoopCalls, seeLoopEnd, seePrefill, seeStep } from './seen-calls.ts';
import { NOTHING, plus, type Spent, startsOf, type Truth } from './truth.ts';

/** As the session's engine has them (`session/text/engine.ts`, `move.ts`). */
const LOOK_EVERY = 32;
const STALL_MS = 250;
const CLOSE_ENOUGH_ROWS = 2;

interface Period {
  /** Tokens. */
  readonly made: number;
  readonly spent: Spent;
  readonly firstAt: number;
  readonly next?: Route;
}

export class AnswerClock {
  readonly #player: PlayerState;
  readonly #looks: DeviceLooks;
  readonly #truth: Truth;
  /** Since the request began. */
  #ms = 0;

  constructor(player: PlayerState, looks: DeviceLooks, truth: Truth) {
    this.#player = player;
    this.#looks = looks;
    this.#truth = truth;
  }

  /** @throws IsthmusError where no route can answer */
  run(): Played {
    const { tokens: wanted, length } = this.#truth.moment;
    let spent = NOTHING;
    let made = 0;
    let ttftMs = 0;
    let { route } = firstRoute(this.#player.situation(this.#truth, this.#ms, length, wanted)).best;
    const plans = [route.id];
    while (made < wanted) {
      this.#build(route);
      const period = this.#period(route, made);
      if (made === 0 && period.made > 0) ttftMs = period.firstAt;
      made += period.made;
      spent = plus(spent, period.spent);
      if (period.next === undefined) break;
      route = period.next;
      plans.push(route.id);
    }
    const { deviceMs, endpointMs } = spent;
    return { ms: this.#ms, deviceMs, endpointMs, ttftMs, plan: plans.join('>') };
  }

  #build({ legs }: Route): void {
    const here = legs.find(({ place }) => place === 'device');
    if (here === undefined) return;
    this.#ms = Math.max(this.#ms, this.#truth.landsAt(here.span.to));
    this.#ms += this.#player.build(this.#truth, here.span.to);
  }

  /** One route until the answer ends or another takes over, behind so many tokens of the answer. */
  #period(route: Route, before: number): Period {
    const player = this.#player;
    const truth = this.#truth;
    const { tokens: wanted, length } = truth.moment;
    let spent = NOTHING;
    let made = 0;
    let move: Move | undefined;
    const nextLanding = landingsAfter(truth, this.#ms);
    const untold: LoopCalls = [];
    const text = (): number => length + before + made;
    const left = (): number => wanted - before - made;
    const look = (): void => {
      move ??= this.#look(route, text(), left());
    };
    let firstAt = 0;
    const end = (): Period => {
      player.held = afterRoute(player.held, route, Math.max(0, text() - 1), made);
      seeLoopEnd(player, route, untold);
      return { made, spent, firstAt };
    };
    look();
    const position = Math.min(...startsOf(route, player.held, text() - 1));
    const first = firstToken(truth, route, player.held, text());
    const stalledAt = move === undefined || !move.isApart ? Infinity : move.preparedAt + STALL_MS;
    if (move !== undefined && stalledAt < this.#ms + first.ms) {
      // The other place speaks before this one has read the prompt.
      this.#ms = Math.max(this.#ms, stalledAt);
      spent = plus(plus(spent, { ...first, ms: 0 }), move.beside);
      this.#takeOver(move, text());
      return { made, spent, firstAt, next: move.route };
    }
    this.#ms += first.ms;
    spent = plus(spent, first);
    seePrefill(player, truth, route, { rows: text() - position, context: position }, untold);
    player.held = afterRoute(player.held, route, text() - 1, 1);
    made = 1;
    firstAt = this.#ms;
    let progress = 1;
    let looks = Math.floor(before / LOOK_EVERY);
    while (before + made < wanted) {
      while (nextLanding.length > 0 && (nextLanding[0]?.at ?? Infinity) <= this.#ms) {
        this.#looks.calibrate(truth, nextLanding.shift()?.blocks ?? 0, true);
        look();
      }
      const looksDue = Math.floor((before + made) / LOOK_EVERY);
      if (looksDue > looks) look();
      looks = looksDue;
      if (move !== undefined && move.preparedAt <= this.#ms) {
        this.#ms += move.pauseMs;
        spent = plus(spent, move.beside);
        const ended = end();
        this.#takeOver(move, text());
        return { ...ended, next: move.route };
      }
      const step = seeStep(player, truth, route, { context: text() - 1, left: left() }, untold);
      this.#ms += step.spent.ms;
      spent = plus(spent, step.spent);
      progress += step.tokens;
      made = Math.min(wanted - before, Math.floor(progress + 1e-9));
    }
    return end();
  }

  #look(route: Route, length: number, left: number): Move | undefined {
    let found: ReturnType<typeof betterRoute>;
    try {
      found = betterRoute(route, this.#player.situation(this.#truth, this.#ms, length, left));
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      return undefined;
    }
    return found && prepareMove(this.#player, this.#truth, route, found.best.route, this.#ms, length);
  }

  #takeOver({ route }: Move, length: number): void {
    const { held } = this.#player;
    this.#player.held = afterRoute(held, route, Math.max(0, length - CLOSE_ENOUGH_ROWS));
  }
}
