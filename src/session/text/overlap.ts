/**
 * Long inputs in pieces: while one crosses and runs on, the next is made. How long that takes, and how many
 * pieces are best; pure.
 *
 * A piece passes stages one after the other (device, line up, endpoint, ...), and stages work at the same time on
 * different pieces. Of `n` equal pieces the first takes the sum of its stages; behind it one comes through for every
 * `m`, the time of a piece at the place that has most to do: `sum + (n - 1) * m`. More pieces make the first one
 * shorter, and each adds to every stage what a call costs however few its rows (the reading of the weights, an
 * envelope): the least lies between.
 */
import { PREFILL_ROWS } from '../../runtime/lane-run.ts';

/** What can do one thing at a time. A route that passes the device twice has two stages on one of these. */
export type Resource = 'device' | 'endpoint' | 'up' | 'down';

export interface Stage {
  readonly on: Resource;
  /** Ms of the whole input in one call. */
  readonly ms: number;
  /** Ms that each further call adds. */
  readonly againMs: number;
}

/** Rows of a piece where it is not measured yet what places and link take: half of what a lane runs at once. */
export const DEFAULT_PIECE_ROWS = 64;

/** Below that the products of a piece are no longer as quick for each row as those of a long one. */
export const MIN_PIECE_ROWS = 16;

/** Rows of a piece that are tried: more than `PREFILL_ROWS` a lane does not run at once anyway. */
const SIZES = [PREFILL_ROWS, 96, 64, 48, 32, 24, MIN_PIECE_ROWS];

/** More pieces must promise so much less time; what they cost is itself an estimate. */
const MIN_GAIN = 0.99;

/** Ms until the last row of `rows` has passed all stages. The link's latency is not in it: it is waited for once. */
export function overlapMs(stages: readonly Stage[], rows: number, pieces: number): number {
  // A lane runs a long call in parts of its own: as many further calls cost nothing more.
  const further = Math.max(0, pieces - Math.ceil(rows / PREFILL_ROWS));
  const busy = { device: 0, endpoint: 0, up: 0, down: 0 };
  let first = 0;
  for (const { on, ms, againMs } of stages) {
    const each = (ms + further * againMs) / pieces;
    first += each;
    busy[on] += each;
  }
  return first + (pieces - 1) * Math.max(busy.device, busy.endpoint, busy.up, busy.down);
}

/** The number of pieces with the least time, or a smaller one that is as good. 1 where nothing can overlap. */
export function bestPieces(stages: readonly Stage[], rows: number): number {
  let best = 1;
  let bestMs = overlapMs(stages, rows, 1);
  for (const size of SIZES) {
    const pieces = Math.ceil(rows / size);
    // Equal pieces of a little more than a size can be smaller than the least one.
    if (pieces < 2 || rows / pieces < MIN_PIECE_ROWS) continue;
    const ms = overlapMs(stages, rows, pieces);
    if (ms > MIN_GAIN * bestMs) continue;
    best = pieces;
    bestMs = ms;
  }
  return best;
}
