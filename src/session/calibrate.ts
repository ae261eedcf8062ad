/** Measures a runner on the model's real first blocks, at two sizes. */
import type { Clock } from '../core/clock.ts';
import { sampleFeeds, unitsFor } from '../core/sample-feeds.ts';
import type { TensorMap } from '../core/tensor.ts';
import type { Measurement } from '../device/fit.ts';
import { throwIfAborted } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { segmentPhase, stageAt } from '../package/segments.ts';
import type { SpanRunner } from '../runtime/runner.ts';

/** Rows (frames) of the two sizes: one short, one as long as common requests. */
const CALIBRATION_ROWS = [24, 96] as const;

/** Runs at each size after a first one that warms up; the median counts. */
const RUNS = 3;

/** Ms for all of it; a device that is slower than this has shown what there is to know. */
export const CALIBRATION_BUDGET_MS = 400;

export interface CalibrateOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** The first block is often of its own kind (a convolutional front end); the second is a layer like most. */
export const CALIBRATION_BLOCKS = 2;

/**
 * Times of the first blocks of the first stage, each by itself. Their weights are fetched when they are not
 * here. A model that begins with a token loop yields nothing: its first request is its measurement.
 */
export async function calibrate(
  manifest: Manifest,
  runner: SpanRunner,
  options: CalibrateOptions,
): Promise<Measurement[]> {
  const stage = stageAt(manifest, 0);
  if (stage.kind !== 'once') return [];
  const { clock, signal } = options;
  const segments = Array.from({ length: Math.min(CALIBRATION_BLOCKS, stage.to) }, (_, from) => {
    return { stage: 0, from, to: from + 1 };
  });
  for (const segment of segments) await runner.load(segment, signal === undefined ? {} : { signal });
  const started = clock.now();
  const isSpent = (): boolean => clock.now() - started > CALIBRATION_BUDGET_MS;
  const measurements: Measurement[] = [];
  for (const rows of CALIBRATION_ROWS) {
    const units = unitsFor(stage, rows);
    let feeds = sampleFeeds(stage, units);
    for (const segment of segments) {
      const fetches = segmentPhase(manifest, segment, 'once').results.map((result) => result.name);
      const times: number[] = [];
      let outputs: TensorMap = {};
      for (let run = 0; run <= RUNS; run += 1) {
        throwIfAborted(signal);
        const result = await runner.run({ segment, phase: 'once', feeds, fetches });
        outputs = result.outputs;
        // The first run allocates and, on a GPU, compiles: it counts only when time is up.
        if (run > 0 || isSpent()) times.push(result.ms);
        if (isSpent()) break;
      }
      measurements.push({ segment, phase: 'once', units, ms: median(times) });
      if (isSpent()) break;
      feeds = outputs;
    }
    if (isSpent()) break;
  }
  for (const segment of segments) await runner.unload(segment);
  return measurements;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
