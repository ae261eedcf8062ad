/**
 * Moves a text to another route. What the new route lacks is made beside the running one, from the tokens
 * known so far or by copying state from where it is, whichever is predicted to cost less; the switch
 * itself then has only the last few rows to catch up with. Correctness does not rest on any of it: what
 * is still missing at the switch, the new route fills itself (`fillRoute`).
 */
import type { Sampling } from '../../core/sampling.ts';
import type { Span } from '../../core/span.ts';
import { throwIfAborted } from '../../errors.ts';
import { advance, type Beat, catchUp, follow, meet, type Work } from './catching-up.ts';
import type { HeldLane } from './held-lane.ts';
import { type LaneSet, laneAt } from './lane-set.ts';
import { type Leg, livePart, type PlaceName, type Route, sharesPlace, without } from './route.ts';

/** Predicted ms. */
export interface MoveCosts {
  /** Running so many rows through a span. */
  recompute(place: PlaceName, span: Span, rows: number): number;
  /** Copying the state of so many rows of a span to the place named. */
  transfer(to: PlaceName, span: Span, rows: number): number;
}

export interface MoveRequest {
  readonly current: Route;
  readonly target: Route;
  readonly lanes: LaneSet;
  /** The text; it grows meanwhile. */
  readonly tokens: readonly number[];
  readonly costs: MoveCosts;
  readonly sampling: Sampling;
  readonly openLane: (place: PlaceName) => Promise<HeldLane>;
  readonly signal: AbortSignal;
}

export interface PreparedMove {
  readonly lanes: LaneSet;
  /** How the state came over, for the record. */
  readonly how: readonly string[];
  /** The new route can begin before the old one has ended: no lane belongs to both. */
  readonly isApart: boolean;
  /**
   * For a route apart: goes on catching up, and resolves when the new route is to begin, which is when what it lacks is
   * so little, and the text shown so far behind itself, that its first token is not felt to be late. False when the period
   * ended first. Throws what lanes throw, and `aborted`.
   */
  meet(beat: Beat, until: AbortSignal): Promise<boolean>;
  /** Goes on catching up while the old route is being halted. Throws what lanes throw, and `aborted`. */
  follow(until: AbortSignal): Promise<void>;
  /** What could not be done while the old route ran. To be called when it has halted. */
  finish(): Promise<void>;
  /** Closes lanes that only the abandoned move needs. */
  abandon(): Promise<void>;
}

/** Resolves when the switch can be made. Throws what lanes throw, and `aborted`. */
export async function prepareMove(request: MoveRequest): Promise<PreparedMove> {
  const lanes: { [place in PlaceName]?: HeldLane } = { ...request.lanes };
  const fresh: HeldLane[] = [];
  const now: Work[] = [];
  const later: Work[] = [];
  const abandon = async (): Promise<void> => {
    for (const lane of fresh) await lane.close().catch(() => undefined);
  };
  try {
    for (const leg of request.target.legs) {
      if (lanes[leg.place] === undefined) {
        const lane = await request.openLane(leg.place);
        fresh.push(lane);
        lanes[leg.place] = lane;
      }
      for (const span of without(leg.span, livePart(request.current, leg.place, leg.span))) {
        const work = await workFor(request, leg, span, lanes, fresh);
        if (work === undefined) continue;
        (isBusy(request, work) ? later : now).push(work);
      }
    }
    await catchUp(now, request.tokens, request.signal);
    await rehearse(request, now);
  } catch (error) {
    await abandon();
    throw error;
  }
  return {
    lanes,
    how: [...now, ...later].map(({ kind, span }) => `${kind} ${span.from}-${span.to}`),
    isApart: !sharesPlace(request.current, request.target) && later.length === 0,
    meet: (beat, until) => meet(now, request.tokens, beat, until),
    follow: (until) => follow(now, request.tokens, until),
    finish: async () => {
      for (const work of later) await advance(work, request.tokens, request.tokens.length - 1);
    },
    abandon,
  };
}

/** A whole loop occupies its lane until it ends: nothing can be copied out of it meanwhile. */
function isBusy({ current, lanes }: MoveRequest, work: Work): boolean {
  const [only, ...others] = current.legs;
  if (only === undefined || others.length > 0) return false;
  const busy = lanes[only.place];
  return work.lane === busy || (work.kind === 'copy' && work.from === busy);
}

async function workFor(
  request: MoveRequest,
  leg: Leg,
  span: Span,
  lanes: { [place in PlaceName]?: HeldLane },
  fresh: HeldLane[],
): Promise<Work | undefined> {
  const { costs, current, tokens } = request;
  const lane = laneAt(lanes, leg.place);
  const rows = tokens.length - lane.filled(span);
  const other: PlaceName = leg.place === 'device' ? 'endpoint' : 'device';
  const source = request.lanes[other];
  const canCopy = source !== undefined && without(span, livePart(current, other, span)).length === 0;
  const copyMs = canCopy ? costs.transfer(leg.place, span, rows) : Infinity;
  const copy: Work | undefined = canCopy ? { kind: 'copy', from: source, lane, span } : undefined;
  if (leg.span.from !== 0) return copy;
  // Out of a busy lane it could only be copied with the text stopped; tokens can be run beside it.
  const isPause = copy !== undefined && isBusy(request, copy);
  // From tokens: only where the leg begins the model, so that no token goes where none may.
  const isWhole = span.from === 0;
  const until = { from: 0, to: span.to };
  const made = isWhole ? rows : tokens.length;
  if (!isPause && copyMs <= costs.recompute(leg.place, until, made)) return copy;
  if (isWhole) return { kind: 'tokens', lane, span };
  // Blocks before it are in use at their present position: a second lane starts over beside them.
  const beside = await request.openLane(leg.place);
  fresh.push(beside);
  lanes[leg.place] = beside;
  return { kind: 'tokens', lane: beside, span: until };
}

/**
 * The last row again, to a token that nobody takes: what ends the model has not run in a browser that is about to take
 * over, and a first time is slower by the half of a step.
 */
async function rehearse(
  { sampling, target, tokens, signal }: MoveRequest,
  works: readonly Work[],
): Promise<void> {
  const [leg, ...others] = target.legs;
  if (others.length > 0 || leg?.place !== 'device') return;
  for (const { lane, span } of works) {
    const position = lane.filled(span) - 1;
    if (position < 0 || span.from !== leg.span.from || span.to !== leg.span.to) continue;
    throwIfAborted(signal);
    const input = { kind: 'tokens', tokens: tokens.slice(position, position + 1) } as const;
    await lane.forward({
      span,
      position,
      input,
      want: { kind: 'pick', pick: { sampling, answer: [], drafts: [] } },
    });
  }
}
