/**
 * Rows through the legs of a route. Each leg may lag behind by another number of positions (after a move,
 * after a rewind); rows are run only through the legs that lack them.
 */
import { IsthmusError } from '../../errors.ts';
import type { ForwardResult, LaneInput, Want } from '../../runtime/lane.ts';
import type { HeldLane } from './held-lane.ts';
import type { Leg, PlaceName, Route } from './route.ts';

export type LaneSet = { readonly [place in PlaceName]?: HeldLane };

/** Told of every call: what the planner learns from, and what the usage counts. */
export type OnLeg = (leg: Leg, rows: number, ms: number) => void;

export interface RouteRun {
  readonly lanes: LaneSet;
  readonly signal?: AbortSignal;
  readonly now: () => number;
  readonly onLeg?: OnLeg;
}

export function laneAt(lanes: LaneSet, place: PlaceName): HeldLane {
  const lane = lanes[place];
  if (lane === undefined) throw new IsthmusError('internal', `no lane is open on the ${place}`);
  return lane;
}

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

/** Brings the legs up to `upTo`, each as far as it lags; afterwards every leg holds at least `upTo`. */
export async function fillRoute(
  route: Route,
  run: RouteRun,
  tokens: readonly number[],
  upTo: number,
): Promise<void> {
  const starts = startsOf(route.legs, run.lanes, upTo);
  for (const [index, from] of starts.entries()) {
    const to = starts[index + 1] ?? upTo;
    if (from < to) {
      await runRows(route.legs.slice(0, index + 1), run, tokens.slice(from, to), from, { kind: 'nothing' });
    }
  }
}

/** Rows through all of `legs`; what the last one yields. */
export async function runRows(
  legs: readonly Leg[],
  run: RouteRun,
  tokens: readonly number[],
  position: number,
  want: Want,
): Promise<ForwardResult> {
  let input: LaneInput = { kind: 'tokens', tokens };
  let result: ForwardResult | undefined;
  for (const [index, one] of legs.entries()) {
    const isLast = index === legs.length - 1;
    const began = run.now();
    result = await laneAt(run.lanes, one.place).forward(
      { span: one.span, position, input, want: isLast ? want : { kind: 'crossing' } },
      run.signal === undefined ? {} : { signal: run.signal },
    );
    run.onLeg?.(one, tokens.length, run.now() - began);
    input = { kind: 'tensors', tensors: result.tensors, rows: tokens.length };
  }
  if (result === undefined) throw new IsthmusError('internal', 'a route without legs');
  return result;
}
