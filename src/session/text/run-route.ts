/**
 * Rows through the legs of a route, in pieces that overlap. Each leg may lag behind by another number of positions
 * (after a move, after a rewind); rows are run only through the legs that lack them.
 */
import type { ForwardResult, Want } from '../../runtime/lane.ts';
import { type LaneSet, laneAt, type RouteRun } from './lane-set.ts';
import { DEFAULT_PIECE_ROWS } from './overlap.ts';
import { type Piece, passPieces } from './pipeline.ts';
import { cutRange } from './remote-pieces.ts';
import type { Leg, Route } from './route.ts';

/**
 * Position from which each leg must run so that all of them reach `upTo`: its own, or that of a later
 * leg that lags further behind, because that one's rows pass through it.
 */
export function startsOf(legs: readonly Leg[], lanes: LaneSet, upTo: number): readonly number[] {
  const starts: number[] = [];
  let least = upTo;
  for (const { place, span } of [...legs].reverse()) {
    least = Math.min(least, laneAt(lanes, place).filled(span));
    starts.unshift(least);
  }
  return starts;
}

/**
 * Fills every leg with what it lacks of `tokens`, each as far as it lags, and with their last row at least; what
 * the last leg yields of the rows that it ran in one piece with that one.
 * @param starts of the legs, by `startsOf`
 */
export function fillRoute(
  route: Route,
  run: RouteRun,
  tokens: readonly number[],
  starts: readonly number[],
  want: Want,
): Promise<ForwardResult> {
  const { legs } = route;
  const pieces = starts.flatMap((from, index): readonly Piece[] => {
    const isAll = index === legs.length - 1;
    const to = starts[index + 1] ?? tokens.length;
    const wanted: Want = isAll ? want : { kind: 'nothing' };
    return piecesBetween(from, to, legs.slice(0, index + 1), run, wanted);
  });
  return passPieces(legs, pieces, run, tokens);
}

/** As equal as they can be; the last one has all rows that are picked from. */
function piecesBetween(
  from: number,
  to: number,
  legs: readonly Leg[],
  { pieces }: RouteRun,
  want: Want,
): readonly Piece[] {
  const rows = to - from;
  const tail = want.kind === 'pick' ? want.pick.drafts.length + 1 : 0;
  // One leg has nothing to overlap with.
  const count =
    legs.length === 1 ? 1 : (pieces?.(legs, rows) ?? Math.max(1, Math.ceil(rows / DEFAULT_PIECE_ROWS)));
  const parts = cutRange(rows, Math.ceil(rows / count), tail);
  return parts.map((part) => ({
    from: from + part.from,
    to: from + part.to,
    legs: legs.length,
    want: part.to === rows ? want : { kind: 'nothing' },
  }));
}
