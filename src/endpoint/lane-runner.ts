/** Where a lane runs: beside the runtime, so that scores and state stay in its thread. */
import type { Manifest } from '../package/manifest.ts';
import { createLane, type LocalLane } from '../runtime/create-lane.ts';
import { letOthersIn } from '../runtime/node/event-loop.ts';
import type { SpanRunner } from '../runtime/runner.ts';

/** What each block holds is asked by nobody here: the lane itself refuses positions that it does not hold. */
export type PlacedLane = Omit<LocalLane, 'filled' | 'filledBlocks'>;

/** A runner in another thread, which holds its lanes there too. */
export interface LaneRunner extends SpanRunner {
  /** Takes memory when it first runs. */
  openLane(): PlacedLane;
}

function holdsLanes(runner: SpanRunner): runner is LaneRunner {
  return 'openLane' in runner;
}

/** Throws `unsupported-model` for a package without a text loop. */
export function openLaneOn(manifest: Manifest, runner: SpanRunner): PlacedLane {
  return holdsLanes(runner) ? runner.openLane() : createLane({ manifest, runner, letOthersIn });
}
