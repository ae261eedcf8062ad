/** Brings lanes up to a text that runs elsewhere and grows, until they can take over from it. */
import type { Span } from '../../core/span.ts';
import { throwIfAborted } from '../../errors.ts';
import { CATCH_UP_ROWS, climbTo } from './climb.ts';
import type { HeldLane } from './held-lane.ts';

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

/** What a lane lacks of a span, and where it comes from. */
export type Work =
  | { readonly kind: 'tokens'; readonly lane: HeldLane; readonly span: Span }
  | { readonly kind: 'copy'; readonly from: HeldLane; readonly lane: HeldLane; readonly span: Span };

/** All of the works up to the text's last rows, as long as that comes nearer. Throws what lanes throw, and `aborted`. */
export async function catchUp(
  works: readonly Work[],
  tokens: readonly number[],
  signal: AbortSignal,
): Promise<void> {
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
 * Goes on catching up until the new route may begin: what it lacks is so little, and the text shown so far behind
 * itself, that its first token is not felt to be late. False when the period ended first. Throws what lanes throw, and `aborted`.
 */
export async function meet(
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
export async function follow(
  works: readonly Work[],
  tokens: readonly number[],
  until: AbortSignal,
): Promise<void> {
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

/** Makes or copies what the lane lacks of the first `upTo` positions. */
export async function advance(
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
