/**
 * Catches up with a text that runs at the endpoint while the device's weights still come: what is here runs all rows
 * so far, so that little is left to run when the last block arrives and the device takes over.
 */
import { isIsthmusError } from '../../errors.ts';
import { climb, nextClimb } from './climb.ts';
import type { TextPlaces } from './engine-types.ts';
import type { HeldLane } from './held-lane.ts';

/**
 * Rows of a call, and rows that are worth one: single ones would cost the device as much as the text does the endpoint.
 * The worker that runs them takes the weights in, too, and each file needs it a dozen times for a moment: calls are
 * short, which costs some 2% more than ones of 32 rows.
 */
const AHEAD_ROWS = 16;

export interface AheadScene {
  /** So many blocks, from the first on, are to run. */
  readonly blocks: number;
  readonly lanes: { device?: HeldLane };
  readonly places: Pick<TextPlaces, 'ready'>;
  readonly open: () => Promise<HeldLane>;
  /** The text; it grows meanwhile. */
  readonly tokens: readonly number[];
}

/** The device's lane, opened if there is none, catches up; one that fails is dropped, and told by the move that needs it. */
export async function runAhead(scene: AheadScene, stop: AbortSignal): Promise<void> {
  const { blocks, lanes, places, open } = scene;
  try {
    await places.ready({ place: 'device', span: { from: 0, to: blocks } });
    if (stop.aborted) return;
    const opened = lanes.device ?? (await open());
    lanes.device ??= opened;
    await catchUp(lanes.device, scene, stop);
  } catch (error) {
    const lane = lanes.device;
    delete lanes.device;
    await lane?.close().catch(() => undefined);
    if (!isIsthmusError(error)) throw error;
  }
}

/** Runs what there is to run. Throws what the lane throws. */
async function catchUp(lane: HeldLane, { blocks, tokens }: AheadScene, stop: AbortSignal): Promise<void> {
  while (!stop.aborted && !lane.kept.isFull) {
    const upTo = Math.floor((tokens.length - 1) / AHEAD_ROWS) * AHEAD_ROWS;
    const next = nextClimb(lane, { end: blocks, upTo, tokens, rows: AHEAD_ROWS });
    if (next === undefined) return;
    await climb(lane, next);
  }
}
