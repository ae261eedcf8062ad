/** What a request under a plan took in a world, and what the two ends would have told of it. */
import { stageExtents } from '../core/extents.ts';
import type { Segment, Span } from '../core/span.ts';
import { phaseMs } from '../device/span-ms.ts';
import type { LinkObservation } from '../link/estimator.ts';
import { type CostModel, predict } from '../planner/cost.ts';
import type { PlanShape, Prediction, SideProfile } from '../planner/types.ts';
import type { Random } from './random.ts';

export interface Outcome {
  readonly plan: PlanShape;
  /** As it was felt: with noise. */
  readonly totalMs: number;
  /** Ms by `stage:from-to:phase`, as runners report them. */
  readonly deviceMs: Readonly<Record<string, number>>;
  readonly endpointMs: Readonly<Record<string, number>>;
  readonly queueMs: number;
  readonly roundTrips: number;
  readonly link: readonly LinkObservation[];
}

/** Deviations of the logarithm: how unlike two runs of the same work are, and two trips over the same link. */
const COMPUTE_DEVIATION = 0.08;
const LINK_DEVIATION = 0.12;

/** Trips of one request whose times are told apart; more of the same say nothing new. */
const TOLD_TRIPS = 12;

export function playOut(plan: PlanShape, truth: CostModel, random: Random): Outcome {
  const { manifest, device, endpoint, link, workload } = truth.input;
  const last = manifest.blocks.length;
  const predicted = predict(plan, truth);
  const deviceMs = segmentTimes(device, { from: 0, to: plan.cut });
  const there = { from: plan.cut, to: last };
  const endpointMs = endpoint === undefined ? {} : segmentTimes(endpoint.side, there);
  const linkNoise = random.factor(LINK_DEVIATION);
  const sum = (times: Readonly<Record<string, number>>): number =>
    Object.values(times).reduce((all, ms) => all + ms, 0);
  const queueMs = plan.kind === 'local' ? 0 : (endpoint?.queueMs ?? 0) * predicted.roundTrips;
  return {
    plan,
    totalMs: sum(deviceMs) + sum(endpointMs) + queueMs + predicted.linkMs * linkNoise,
    deviceMs,
    endpointMs,
    queueMs,
    roundTrips: predicted.roundTrips,
    link: plan.kind === 'local' ? [] : tripsOf(predicted),
  };

  function tripsOf({ bytesUp, roundTrips }: Prediction): readonly LinkObservation[] {
    const trips = Math.min(TOLD_TRIPS, Math.max(1, roundTrips));
    const bytes = bytesUp / Math.max(1, roundTrips);
    return Array.from({ length: trips }, (): LinkObservation => {
      const ms = (link.rttMs + (1000 * bytes) / link.upBytesPerSecond) * random.factor(LINK_DEVIATION);
      return { kind: 'transfer', direction: 'up', bytes, ms };
    });
  }

  function segmentTimes(side: SideProfile, span: Span): Record<string, number> {
    const extents = stageExtents(manifest, workload.units);
    const times: Record<string, number> = {};
    for (const [stage, { from, to, kind }] of manifest.stages.entries()) {
      const segment: Segment = { stage, from: Math.max(from, span.from), to: Math.min(to, span.to) };
      if (segment.from >= segment.to) continue;
      for (const phase of kind === 'once' ? (['once'] as const) : (['init', 'step'] as const)) {
        const extent = phase === 'step' ? 1 : (extents[stage] ?? 0);
        const one = side.blocks
          .slice(segment.from, segment.to)
          .reduce((all, cost) => all + phaseMs(cost[phase], extent), 0);
        if (one === 0) continue;
        // The loop's last step finds the end.
        const runs = phase === 'step' ? workload.tokens + 1 : 1;
        times[`${stage}:${segment.from}-${segment.to}:${phase}`] =
          runs * one * random.factor(COMPUTE_DEVIATION);
      }
    }
    return times;
  }
}
