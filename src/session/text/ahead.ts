/**
 * Catches up with a text that runs at the endpoint while the device's weights still come: what is here runs all rows
 * so far, so that little is left to run when the last block arrives and the device takes over.
 */
import { CATCH_UP_ROWS, climb, nextClimb } from './climb.ts';
import type { HeldLane } from './held-lane.ts';

export interface AheadWork {
  /** So many blocks, from the first on, can run. */
  readonly blocks: number;
  readonly lane: HeldLane;
  /** The text; it grows meanwhile. */
  readonly tokens: readonly number[];
  readonly now: () => number;
  /** Resolves after so many ms, or when it is told to stop. */
  readonly pause: (ms: number) => Promise<unknown>;
}

/**
 * Runs what there is to run, in whole pieces: single rows would cost the device as much as the text does the
 * endpoint. Half of the time it rests, for the worker that runs it is the one that takes the weights in: each file
 * needs it a dozen times, for a moment. Throws what the lane throws.
 */
export async function catchUpAhead(
  { blocks, lane, tokens, now, pause }: AheadWork,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted && !lane.kept.isFull) {
    const upTo = Math.floor((tokens.length - 1) / CATCH_UP_ROWS) * CATCH_UP_ROWS;
    const next = nextClimb(lane, { end: blocks, upTo, tokens });
    if (next === undefined) return;
    const began = now();
    await climb(lane, next);
    if (blocks < lane.blocks) await pause(now() - began);
  }
}
