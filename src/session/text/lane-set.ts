/** The lanes of a text, and what a run of rows over them is given. */
import { IsthmusError } from '../../errors.ts';
import type { HeldLane } from './held-lane.ts';
import type { Leg, PlaceName } from './route.ts';

export type LaneSet = { readonly [place in PlaceName]?: HeldLane };

/** Told of every call: what the planner learns from, and what the usage counts. */
export type OnLeg = (leg: Leg, rows: number, ms: number) => void;

export interface RouteRun {
  readonly lanes: LaneSet;
  /** Stops the run between pieces. What has run by then is kept, and known. */
  readonly signal?: AbortSignal;
  readonly now: () => number;
  readonly onLeg?: OnLeg;
  /** In how many pieces so many rows pass these legs; default: of `DEFAULT_PIECE_ROWS` each. */
  readonly pieces?: (legs: readonly Leg[], rows: number) => number;
}

export function laneAt(lanes: LaneSet, place: PlaceName): HeldLane {
  const lane = lanes[place];
  if (lane === undefined) throw new IsthmusError('internal', `no lane is open on the ${place}`);
  return lane;
}
