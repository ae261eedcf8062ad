/**
 * Moves a text to another route. What the new route lacks is made beside the running one, from the tokens
 * known so far or by copying state from where it is, whichever is predicted to cost less; the switch
 * itself then has only the last few rows to catch up with. Correctness does not rest on any of it: what
 * is still missing at the switch, the new route fills itself (`fillRoute`).
 */
import type { Sampling } from '../../core/sampling.ts';
import type { Span } from '../../core/span.ts';
import { throwIfAborted } from '../../errors.ts';
import { CATCH_UP_ROWS, climbTo } from './climb.ts';
import type { HeldLane } from './held-lane.ts';
import { type LaneSet, laneAt } from './lane-set.ts';
import { type Leg, livePart, type PlaceName, type Route, without } from './route.ts';

/** Behind by no more than this, the switch is not felt. */
const CLOSE_ENOUGH_ROWS = 2;

/** Rounds in which the lag does not shrink after which the rest is left to the switch. */
const FRUITLESS_ROUNDS = 3;

/**
 * Rounds in which a place may come level with the text. Every row that it still lacks at the switch is a longer pause
 * there, while before it nobody waits; one that cannot come level takes what it lacks together with its first step.
 */
const MEETING_ROUNDS = 24;

/**
 * The first step of the new route picks a token, and ends the old route's: longer than those that only follow, by as
 * much as was measured with both on one core.
 */
const FIRST_STEP_FACTOR = 1.25;

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

/** When the running text's tokens come. */
export interface Beat {
  now(): number;
  /** When the latest came. */
  lastAt(): number;
  /** Resolves when the next has come, or should have long ago. */
  next(): Promise<unknown>;
  /**
   * If the new route began now, its first token would come so many ms behind the latest: whether that is no longer
   * felt. It will be less when more tokens have come.
   */
  expect(pauseMs: number): boolean;
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

type Work =
  | { readonly kind: 'tokens'; readonly lane: HeldLane; readonly span: Span }
  | { readonly kind: 'copy'; readonly from: HeldLane; readonly lane: HeldLane; readonly span: Span };

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
    await catchUp(request, now);
    await rehearse(request, now);
  } catch (error) {
    await abandon();
    throw error;
  }
  return {
    lanes,
    how: [...now, ...later].map(({ kind, span }) => `${kind} ${span.from}-${span.to}`),
    isApart: isApart(request) && later.length === 0,
    meet: (beat, until) => meet(now, request.tokens, beat, until),
    follow: (until) => follow(now, request.tokens, until),
    finish: async () => {
      for (const work of later) await advance(work, request.tokens, request.tokens.length - 1);
    },
    abandon,
  };
}

function isApart({ current, target }: MoveRequest): boolean {
  const [only, ...others] = current.legs;
  return others.length === 0 && only !== undefined && target.legs.every(({ place }) => place !== only.place);
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

async function catchUp(request: MoveRequest, works: readonly Work[]): Promise<void> {
  const { tokens, signal } = request;
  let lag = Infinity;
  let fruitless = 0;
  while (works.length > 0 && fruitless < FRUITLESS_ROUNDS) {
    const behind = await advanceAll(works, tokens, signal);
    if (behind <= CLOSE_ENOUGH_ROWS) return;
    if (behind >= lag) fruitless += 1;
    lag = behind;
  }
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

async function meet(
  works: readonly Work[],
  tokens: readonly number[],
  beat: Beat,
  until: AbortSignal,
): Promise<boolean> {
  for (let round = 0; round < MEETING_ROUNDS; round += 1) {
    const began = beat.now();
    const rows = tokens.length - leastFilled(works);
    // The latest token's row too: it is to be the next one's that begins the new route.
    const behind = await advanceAll(works, tokens, until, 0);
    if (behind === 0) break;
    const ended = beat.now();
    const stepMs = ((ended - began) * behind) / Math.max(1, rows);
    const isSpread = beat.expect(ended - beat.lastAt() + FIRST_STEP_FACTOR * stepMs);
    if (isSpread) return !until.aborted;
  }
  if (!until.aborted) await beat.next();
  return !until.aborted;
}

/** Waits for tokens by the lanes' own calls alone: with nothing to catch up with it is done. */
async function follow(works: readonly Work[], tokens: readonly number[], until: AbortSignal): Promise<void> {
  for (let behind = Infinity; behind > 0 && !until.aborted; ) behind = await advanceAll(works, tokens, until);
}

function leastFilled(works: readonly Work[]): number {
  return Math.min(...works.map(({ lane, span }) => lane.filled(span)));
}

/** Brings all up to the text as it is now but for its last rows; how many tokens came meanwhile. */
async function advanceAll(
  works: readonly Work[],
  tokens: readonly number[],
  signal: AbortSignal,
  but = 1,
): Promise<number> {
  const known = tokens.length;
  for (const work of works) await advance(work, tokens, known - but, signal);
  return tokens.length - known;
}

async function advance(
  work: Work,
  tokens: readonly number[],
  upTo: number,
  signal?: AbortSignal,
): Promise<void> {
  const { lane, span } = work;
  if (work.kind === 'tokens') {
    await climbTo(lane, { end: span.to, upTo, tokens }, signal);
    return;
  }
  for (let from = lane.filled(span); from < upTo; ) {
    throwIfAborted(signal);
    // A source that has only begun may itself lag behind the text: the rest is for the switch.
    const to = Math.min(upTo, from + CATCH_UP_ROWS, work.from.filled(span));
    if (to <= from) return;
    await lane.writeState(span, from, to - from, await work.from.readState(span, from, to));
    from = to;
  }
}
