/** What a session can know of places in a simulated world: its own calibration, and what an endpoint tells of itself. */
import { stageExtents } from '../core/extents.ts';
import type { Measurement } from '../device/fit.ts';
import { phaseMs } from '../device/span-ms.ts';
import type { Manifest } from '../package/manifest.ts';
import type { Workload } from '../planner/types.ts';
import type { ServedPace } from '../protocol/endpoint-load.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

/** Calibration as a session does it: the first two blocks at two sizes, with the noise of one run. */
const CALIBRATED_BLOCKS = 2;
const CALIBRATION_UNITS = [0.25, 1] as const;
const CALIBRATION_DEVIATION = 0.05;

/** One run of each segment, from the times of a whole request. */
export function pacesOf(
  segments: Readonly<Record<string, number>>,
  manifest: Manifest,
  { units, tokens }: Workload,
): readonly ServedPace[] {
  const extents = stageExtents(manifest, units);
  return Object.entries(segments).map(([segment, ms]): ServedPace => {
    const isStep = segment.endsWith(':step');
    const extent = Math.round(extents[Number(segment.split(':')[0])] ?? 0);
    return { segment, units: isStep ? 1 : extent, ms: isStep ? ms / (tokens + 1) : ms };
  });
}

export function sum(times: Readonly<Record<string, number>>): number {
  return Object.values(times).reduce((all, ms) => all + ms, 0);
}

/** Both phases' first measurements, in ms of each block alone. */
export function calibration(world: World, random: Random): readonly Measurement[] {
  const { manifest, device, moments, openingFactor } = world;
  const units = moments[0]?.workload.units ?? 1;
  const [stage] = manifest.stages;
  if (stage?.kind !== 'once') return [];
  return Array.from({ length: Math.min(CALIBRATED_BLOCKS, stage.to) }, (_, from) => from).flatMap((from) =>
    CALIBRATION_UNITS.map((share): Measurement => {
      const size = Math.round(units * share);
      const trueMs = openingFactor * phaseMs(device.blocks[from]?.once, size);
      const ms = trueMs * random.factor(CALIBRATION_DEVIATION);
      return { segment: { stage: 0, from, to: from + 1 }, phase: 'once', units: size, ms };
    }),
  );
}
