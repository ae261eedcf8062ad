/** Requests that run on given routes: one all the time, or one until another takes over. True times. */
import { CATCH_UP_ROWS } from '../../session/text/climb.ts';
import type { Route } from '../../session/text/route.ts';
import { afterRoute, filled, type Held } from './held.ts';
import { firstToken } from './prefill.ts';
import { NOTHING, plus, type Spent, startsOf, type Truth } from './truth.ts';

export interface Played extends Spent {
  /** Ms until the first token. */
  readonly ttftMs: number;
  readonly plan: string;
}

export const NEVER: Played = { ms: Infinity, deviceMs: 0, endpointMs: 0, ttftMs: Infinity, plan: 'none' };

export function playRoute(truth: Truth, route: Route, held: Held): Played {
  if (!truth.canRun(route)) return NEVER;
  const { length, tokens } = truth.moment;
  const waitMs = truth.readyAt(route, held);
  const first = firstToken(truth, route, held, length);
  const rest = truth.tokens(route, tokens - 1, length, held.runs + 1);
  const { ms, deviceMs, endpointMs } = plus(first, rest);
  return { ms: waitMs + ms, deviceMs, endpointMs, ttftMs: waitMs + first.ms, plan: route.id };
}

export function heldAfter(truth: Truth, route: Route, held: Held): Held {
  const { length, tokens } = truth.moment;
  return afterRoute(held, route, length + tokens - 1, tokens);
}

/** One route begins; as soon as the other could go on with nothing left to catch up, it does. */
export function playMove(truth: Truth, begin: Route, then: Route, held: Held): Played {
  if (!truth.canRun(begin) || !truth.canRun(then)) return NEVER;
  const { length, tokens } = truth.moment;
  const beginsAt = truth.readyAt(begin, held);
  const first = firstToken(truth, begin, held, length);
  const ttftMs = beginsAt + first.ms;
  const lacking = catchUp(truth, then, afterRoute(held, begin, length), length);
  const takesOverAt = Math.max(truth.readyAt(then, held) + lacking.ms, ttftMs);
  const each = truth.tokens(begin, 1, length).ms;
  const made = Math.min(tokens - 1, Math.ceil((takesOverAt - ttftMs) / each));
  const before = plus(first, truth.tokens(begin, made, length, held.runs + 1));
  const after = truth.tokens(then, tokens - 1 - made, length + made, held.runs + 1);
  const beside = { ...lacking, ms: 0 };
  const { deviceMs, endpointMs } = plus(plus(before, after), beside);
  return {
    ms: beginsAt + before.ms + after.ms,
    deviceMs,
    endpointMs,
    ttftMs,
    plan: `${begin.id}>${then.id}`,
  };
}

/** Work until a route's legs hold `length` positions: from tokens, or by copying a tail that is whole here. */
export function catchUp(truth: Truth, route: Route, held: Held, length: number): Spent {
  let spent = NOTHING;
  for (const [index, start] of startsOf(route, held, length).entries()) {
    const to = startsOf(route, held, length)[index + 1] ?? length;
    const legs = route.legs.slice(0, index + 1);
    for (let from = start; from < to; from += CATCH_UP_ROWS) {
      const rows = Math.min(CATCH_UP_ROWS, to - from);
      spent = plus(spent, truth.pass({ ...route, legs }, rows, from, 0, held.runs));
    }
  }
  const tail = route.legs.at(-1);
  if (route.legs.length === 1 || tail === undefined) return spent;
  const lag = length - filled(held[tail.place], tail.span);
  const isHere = filled(held.device, { from: 0, to: truth.blocks }) >= length;
  const copyMs = isHere && lag > 0 ? truth.copyMs(tail.place, tail.span, lag) : Infinity;
  return copyMs < spent.ms ? { ...NOTHING, ms: copyMs } : spent;
}
