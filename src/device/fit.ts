/**
 * From a few timed segments to a cost for every block and phase. Segments may overlap and need not
 * cover the model. Within a group (one phase of one stage) a block costs `c * (overhead + units)`:
 * `overhead`, in units, is shared by the group and read from segments timed at two sizes; the `c`
 * start from work proxies and are then fitted to every measured sum by multiplicative algebraic
 * reconstruction (Gordon, Bender, Herman 1970), which keeps the proxies' proportions wherever the
 * measurements leave them open.
 */
import type { Phase, Segment } from '../core/span.ts';
import type { Block, Manifest } from '../package/manifest.ts';
import type { BlockCost, PhaseCost } from '../planner/types.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import {
  isPlausibleMs,
  isSegmentOf,
  type LearnedProfile,
  learnedProfile,
  type PhaseCounts,
} from './learned-profile.ts';
import { priorSide, scaleSide } from './prior.ts';
import { phaseMs } from './span-ms.ts';
import { phasesOf } from './work.ts';

export interface Measurement {
  readonly segment: Segment;
  readonly phase: Phase;
  /** Extent that ran: units for `once`, rows of context for `init`, 1 for `step`. */
  readonly units: number;
  readonly ms: number;
}

/** Enough passes for nested sums to agree to a thousandth; under a million operations for a probe. */
const SWEEPS = 100;

/** Each sum is followed half-way, so that measurements that contradict each other end in between. */
const RELAXATION = 0.5;

/** A measured block counts as seen twice: probes run several times and report the median. */
const SEEN_BY_MEASUREMENT = 2;

/** When time does not grow with the input the overhead has no limit; this keeps it finite. */
const MAX_OVERHEAD_EXTENTS = 100;

/** Blocks whose weights and nodes differ by less than this factor are of one kind. */
const ALIKE = 1.25;

/** Browsers' coarse clocks report 0 for what is quick; a cost of 0 could never be corrected. */
const MIN_MS = 0.01;

/** True for a measurement of this very model that a working clock can have given. */
export function isUsable(manifest: Manifest, measurement: Measurement): boolean {
  const { segment, phase, units, ms } = measurement;
  const stage = manifest.stages[segment.stage];
  return (
    stage !== undefined &&
    isSegmentOf(manifest, segment) &&
    phasesOf(stage).includes(phase) &&
    Number.isFinite(units) &&
    (units === 0 || units >= 1) &&
    isPlausibleMs(ms)
  );
}

/** Costs of every block; what was not measured is scaled from what was, by work proxies. */
export function fitProfile(
  manifest: Manifest,
  provider: ExecutionProvider,
  measurements: readonly Measurement[],
): LearnedProfile {
  const usable = measurements
    .filter((measurement) => isUsable(manifest, measurement))
    .map((measurement) => ({ ...measurement, ms: Math.max(MIN_MS, measurement.ms) }));
  const guess = priorSide(manifest, provider);
  const speed = ratioToPrior(guess.blocks, typical(manifest, usable));
  const blocks: BlockCost[] = [...scaleSide(guess, speed, { provider, confidence: 0 }).blocks];
  const seen: PhaseCounts[] = blocks.map((cost) =>
    Object.fromEntries(Object.keys(cost).map((phase) => [phase, 0])),
  );

  manifest.stages.forEach((stage, stageIndex) => {
    for (const phase of phasesOf(stage)) {
      const group = usable.filter((one) => one.phase === phase && one.segment.stage === stageIndex);
      if (group.length === 0) continue;
      const nearest = (index: number): number => nearestMeasured(manifest, index, group);
      const fitted = fitGroup(blocks, stage.from, stage.to, phase, group, nearest);
      fitted.forEach((cost, offset) => {
        const index = stage.from + offset;
        blocks[index] = { ...blocks[index], [phase]: cost };
        if (group.some(({ segment }) => segment.from <= index && index < segment.to)) {
          seen[index] = { ...seen[index], [phase]: SEEN_BY_MEASUREMENT };
        }
      });
    }
  });
  return learnedProfile({ provider, blocks, confidence: 0 }, seen);
}

/**
 * What was measured on the kind of block that the model has most of. A convolutional front end works far
 * more per weight than a layer does, an embedding far less: their speed says nothing of the others'.
 */
function typical(manifest: Manifest, measurements: readonly Measurement[]): readonly Measurement[] {
  const peers = ({ segment }: Measurement): number => {
    const own = manifest.blocks[segment.from];
    if (own === undefined || segment.to !== segment.from + 1) return 0;
    return manifest.blocks.filter((other) => isAlike(own, other)).length;
  };
  const most = Math.max(0, ...measurements.map(peers));
  return most < 2 ? measurements : measurements.filter((one) => peers(one) === most);
}

function isAlike(a: Block, b: Block): boolean {
  const near = (x: number, y: number): boolean => Math.max(x, y) <= ALIKE * Math.min(x, y);
  return a.stage === b.stage && near(a.weightBytes, b.weightBytes) && near(a.nodes, b.nodes);
}

function ratioToPrior(blocks: readonly BlockCost[], measurements: readonly Measurement[]): number {
  let measured = 0;
  let expected = 0;
  for (const { segment, phase, units, ms } of measurements) {
    measured += ms;
    for (const cost of blocks.slice(segment.from, segment.to)) expected += phaseMs(cost[phase], units);
  }
  return measured > 0 && expected > 0 ? measured / expected : 1;
}

function fitGroup(
  blocks: readonly BlockCost[],
  from: number,
  to: number,
  phase: Phase,
  group: readonly Measurement[],
  nearest: (index: number) => number,
): readonly PhaseCost[] {
  // A step has one size, and so has an extent that is never above 0: the cost is a constant.
  const constant = phase === 'step' || group.every(({ units }) => units === 0);
  const sums = constant ? group : group.filter(({ units }) => units > 0);
  const overhead = constant ? 0 : overheadUnits(sums);
  const extentOf = (units: number) => (constant ? 1 : overhead + units);

  const reference = sums[0]?.units ?? 0;
  const costs = blocks
    .slice(from, to)
    .map((cost) => Math.max(MIN_MS / (to - from), phaseMs(cost[phase], reference)) / extentOf(reference));
  const predicted = ({ segment, units }: Measurement) =>
    costs.slice(segment.from - from, segment.to - from).reduce((sum, cost) => sum + cost, 0) *
    extentOf(units);
  const multiply = (segment: Segment, factor: number) => {
    for (let index = segment.from - from; index < segment.to - from; index += 1) {
      costs[index] = (costs[index] ?? 0) * factor;
    }
  };

  const total = sums.reduce((sum, one) => sum + one.ms, 0);
  multiply({ stage: 0, from, to }, total / sums.reduce((sum, one) => sum + predicted(one), 0));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const one of sums) multiply(one.segment, (one.ms / predicted(one)) ** RELAXATION);
  }
  const proxies = blocks.slice(from, to).map((cost) => Math.max(MIN_MS, phaseMs(cost[phase], reference)));
  const settled = costs.map((cost, offset) => {
    const model = nearest(from + offset) - from;
    if (model === offset) return cost;
    return ((costs[model] ?? cost) * (proxies[offset] ?? 1)) / (proxies[model] ?? 1);
  });
  return settled.map((cost) =>
    constant ? { base: cost, perUnit: 0 } : { base: cost * overhead, perUnit: cost },
  );
}

/** The measured block that is most like `index`; itself when it was measured. */
function nearestMeasured(manifest: Manifest, index: number, group: readonly Measurement[]): number {
  const own = manifest.blocks[index];
  let best = index;
  let least = Infinity;
  for (const { segment } of group) {
    for (let other = segment.from; other < segment.to; other += 1) {
      const block = manifest.blocks[other];
      if (own === undefined || block === undefined) continue;
      const apart = other === index ? 0 : distance(own, block);
      if (apart < least) [best, least] = [other, apart];
    }
  }
  return best;
}

/** How unlike two blocks are, by what the manifest says of their work; above 0. */
function distance(a: Block, b: Block): number {
  const apart = (x: number, y: number): number => Math.abs(Math.log((x + 1) / (y + 1)));
  return MIN_MS + apart(a.weightBytes, b.weightBytes) + apart(a.nodes, b.nodes);
}

/**
 * The group's fixed cost in units: intercept over slope of a line through each segment timed at two
 * or more sizes, weighted by time. 0 (proportional) when only one size was timed.
 */
function overheadUnits(group: readonly Measurement[]): number {
  const bySegment = new Map<string, Measurement[]>();
  for (const one of group) {
    const key = `${one.segment.from}-${one.segment.to}`;
    bySegment.set(key, [...(bySegment.get(key) ?? []), one]);
  }
  let intercepts = 0;
  let slopes = 0;
  for (const timed of bySegment.values()) {
    const meanUnits = timed.reduce((sum, one) => sum + one.units, 0) / timed.length;
    const meanMs = timed.reduce((sum, one) => sum + one.ms, 0) / timed.length;
    const spread = timed.reduce((sum, one) => sum + (one.units - meanUnits) ** 2, 0);
    if (spread === 0) continue;
    const slope = timed.reduce((sum, one) => sum + (one.units - meanUnits) * (one.ms - meanMs), 0) / spread;
    const kept = Math.min(Math.max(0, slope), meanMs / meanUnits);
    slopes += kept;
    intercepts += meanMs - kept * meanUnits;
  }
  if (intercepts <= 0) return 0;
  const most = MAX_OVERHEAD_EXTENTS * Math.max(...group.map(({ units }) => units));
  return Math.min(most, slopes > 0 ? intercepts / slopes : most);
}
