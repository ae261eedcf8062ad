/**
 * Rows of a prompt through all legs of a route as the session passes them on: in pieces, so that device, link and
 * endpoint work at the same time (`session/text/overlap.ts`). True times.
 */
import { bestPieces, overlapMs, type Stage } from '../../session/text/overlap.ts';
import type { Leg, Route } from '../../session/text/route.ts';
import type { Held } from './held.ts';
import { MESSAGE_BYTES, NOTHING, plus, type Spent, startsOf, type Truth } from './truth.ts';

export interface Rows {
  readonly rows: number;
  /** Positions before the first of them. */
  readonly context: number;
  /** Rows whose scores are wanted. */
  readonly picks: number;
  /** Calls that the device has made before. */
  readonly runs: number;
}

/** State that the legs lack, then the first token, of a text of so many positions. */
export function firstToken(truth: Truth, route: Route, held: Held, length: number): Spent {
  const starts = startsOf(route, held, length - 1);
  let spent = NOTHING;
  for (const [index, from] of starts.entries()) {
    const isLast = index === starts.length - 1;
    const to = isLast ? length : (starts[index + 1] ?? length);
    if (from >= to) continue;
    const legs = isLast ? route.legs : route.legs.slice(0, index + 1);
    const call = { rows: to - from, context: from, picks: isLast ? 1 : 0, runs: held.runs };
    spent = plus(spent, prefill(truth, { ...route, legs }, call));
  }
  return spent;
}

export function prefill(truth: Truth, route: Route, call: Rows): Spent {
  const { rows, context, picks, runs } = call;
  const whole = truth.pass(route, rows, context, picks, runs);
  if (route.legs.length < 2) return whole;
  const stages = route.legs.flatMap((leg) => stagesOf(truth, leg, call));
  const trips = route.legs.filter(({ place }) => place === 'endpoint').length;
  const latencyMs = trips * (truth.moment.link.rttMs + truth.world.tripOverheadMs);
  return { ...whole, ms: latencyMs + overlapMs(stages, rows, bestPieces(stages, rows)) };
}

function stagesOf(truth: Truth, { place, span }: Leg, call: Rows): readonly Stage[] {
  const { link, queueMs } = truth.moment;
  const { rows, context, picks, runs } = call;
  const waitMs = place === 'endpoint' ? queueMs : 0;
  const work = (count: number): number => truth.work(place, span, count, context, 0, runs);
  const run: Stage = {
    on: place,
    ms: truth.work(place, span, rows, context, picks, runs) + waitMs,
    // What is left of a call when its row is taken away.
    againMs: Math.max(0, 2 * work(1) - work(2)) + waitMs,
  };
  if (place === 'device') return [run];
  const line = (on: 'up' | 'down', bytes: number, rate: number): Stage => ({
    on,
    ms: (1000 * (MESSAGE_BYTES + bytes)) / rate,
    againMs: (1000 * MESSAGE_BYTES) / rate,
  });
  const rowsDown = span.to === truth.blocks ? 1 : rows;
  return [
    line('up', rows * truth.bytesAt(span.from), link.upBytesPerSecond),
    run,
    line('down', rowsDown * truth.bytesAt(span.to), link.downBytesPerSecond),
  ];
}
