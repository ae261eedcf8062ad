/** What it takes to prepare a route beside a text that goes on by another, as `session/text/move.ts` does it. */

import { CATCH_UP_ROWS } from '../../session/text/climb.ts';
import { stateRowBytes } from '../../session/text/crossing-bytes.ts';
import { type Leg, livePart, type PlaceName, type Route, without } from '../../session/text/route.ts';
import { filled } from './held.ts';
import type { PlayerState } from './player-state.ts';
import { NOTHING, plus, type Spent, type Truth } from './truth.ts';

export interface Move {
  readonly route: Route;
  /** Ms since the request began. */
  readonly preparedAt: number;
  /** No leg of it is where the whole text runs by now. */
  readonly isApart: boolean;
  /** Ms for which the text stands still. */
  readonly pauseMs: number;
  readonly beside: Spent;
}

/** Copying where that is predicted to cost less. */
export function prepareMove(
  player: PlayerState,
  truth: Truth,
  current: Route,
  target: Route,
  now: number,
  length: number,
): Move {
  const { held, paces } = player;
  const running = current.legs.length === 1 ? current.legs[0]?.place : undefined;
  let workMs = 0;
  let pauseMs = 0;
  let beside = NOTHING;
  let isApart = running !== undefined;
  for (const leg of target.legs) {
    if (leg.place === running) isApart = false;
    if (leg.place === 'device') workMs += truth.buildMs(held.built, leg.span.to);
    for (const span of without(leg.span, livePart(current, leg.place, leg.span))) {
      const other: PlaceName = leg.place === 'device' ? 'endpoint' : 'device';
      const lag = Math.max(0, length - filled(held[leg.place], span));
      const canCopy =
        without(span, livePart(current, other, span)).length === 0 && filled(held[other], span) > 0;
      const isPause = canCopy && running === other;
      const copyMs = canCopy ? predictedCopyMs(player, leg.place, span, lag) : Infinity;
      const made = span.from === 0 ? lag : length;
      const until = { from: 0, to: span.to };
      const isCopied =
        leg.span.from !== 0 || (!isPause && copyMs <= paces[leg.place].ms(until, Math.max(1, made)));
      if (isCopied && !canCopy) continue;
      if (isCopied) {
        const ms =
          truth.copyMs(leg.place, span, lag) + truth.moment.link.rttMs * Math.floor(lag / CATCH_UP_ROWS);
        if (isPause || leg.place === running) pauseMs += ms;
        else workMs += ms;
        continue;
      }
      for (let from = length - made; from < length; from += CATCH_UP_ROWS) {
        const rows = Math.min(CATCH_UP_ROWS, length - from);
        const one = truth.pass({ id: '', legs: [{ ...leg, span: until }] }, rows, from, 0, held.runs);
        workMs += one.ms;
        beside = plus(beside, { ...one, ms: 0 });
      }
    }
  }
  // Meanwhile the text has grown; the rows that came are few, and share a call or two.
  const stepMs = truth.pass(current, 1, length, 1).ms;
  const grownMs = (workMs / Math.max(1e-9, stepMs)) * rowMs(truth, target, length);
  return { route: target, preparedAt: now + workMs + Math.min(workMs, grownMs), isApart, pauseMs, beside };
}

function rowMs(truth: Truth, route: Route, length: number): number {
  const [first] = route.legs;
  return first === undefined ? 0 : truth.pass({ ...route, legs: [first] }, 8, length, 0).ms / 8;
}

function predictedCopyMs(player: PlayerState, to: PlaceName, span: Leg['span'], rows: number): number {
  const link = player.link();
  const rate = to === 'device' ? link.downBytesPerSecond : link.upBytesPerSecond;
  return link.rttMs + ((stateRowBytes(player.world.manifest, span.from, span.to) * rows) / rate) * 1000;
}
