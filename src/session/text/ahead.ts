/**
 * Catches up with a text that runs at the endpoint while the device's weights still come: what is here runs all rows
 * so far, so that little is left to run when the last block arrives and the device takes over.
 */
import { climb, nextClimb } from './climb.ts';
import type { HeldLane } from './held-lane.ts';

/**
 * Rows of a call, and rows that are worth one: single ones would cost the device as much as the text does the endpoint.
 * The worker that runs them takes the weights in, too, and each file needs it a dozen times for a moment: calls are
 * short, which costs some 2% more than ones of 32 rows.
 */
const AHEAD_ROWS = 16;

export interface AheadWork {
  /** So many blocks, from the first on, can run. */
  readonly blocks: number;
  readonly lane: HeldLane;
  /** The text; it grows meanwhile. */
  readonly tokens: readonly number[];
}

/** Runs what there is to run. Throws what the lane throws. */
export async function catchUpAhead({ blocks, lane, tokens }: AheadWork, stop: AbortSignal): Promise<void> {
  while (!stop.aborted && !lane.kept.isFull) {
    const upTo = Math.floor((tokens.length - 1) / AHEAD_ROWS) * AHEAD_ROWS;
    const next = nextClimb(lane, { end: blocks, upTo, tokens, rows: AHEAD_ROWS });
    if (next === undefined) return;
    await climb(lane, next);
  }
}
