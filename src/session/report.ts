/** What a finished request says about itself: predictions beside measurements. */
import type { PricedPlan } from '../planner/types.ts';
import { type Executed, sumMs } from './execute.ts';
import type { CrossingReport, HedgeReport, RequestReport, SpanReport } from './types.ts';

export interface Finished {
  readonly plan: PricedPlan;
  readonly reason: string;
  readonly abandoned: RequestReport['abandoned'];
  readonly executed: Executed;
  readonly hedge?: HedgeReport | undefined;
  readonly totalMs: number;
  readonly ttftMs: number;
  /** Number of blocks of the model. */
  readonly blocks: number;
}

export function reportOf(finished: Finished): RequestReport {
  const { plan, reason, abandoned, executed, hedge, totalMs, ttftMs } = finished;
  const { traffic } = executed;
  return {
    plan,
    reason,
    abandoned,
    totalMs,
    ttftMs,
    spans: spansOf(finished),
    crossings: crossingsOf(finished),
    ...(hedge === undefined ? {} : { hedge }),
    bytesUp: traffic.bytesUp + (hedge?.other.bytesUp ?? 0),
    bytesDown: traffic.bytesDown + (hedge?.other.bytesDown ?? 0),
    roundTrips: executed.roundTrips,
  };
}

function spansOf({ plan, executed, blocks }: Finished): SpanReport[] {
  const spans: SpanReport[] = [];
  if (plan.cut > 0) {
    spans.push({
      place: 'device',
      from: 0,
      to: plan.cut,
      predictedMs: plan.prediction.deviceMs,
      measuredMs: sumMs(executed.deviceMs),
    });
  }
  if (executed.endpoint !== undefined) {
    const { queueMs, computeMs, loadMs = 0 } = executed.endpoint.timing;
    spans.push({
      place: 'endpoint',
      from: plan.cut,
      to: blocks,
      predictedMs: plan.prediction.endpointMs,
      measuredMs: queueMs + computeMs + loadMs,
    });
  }
  return spans;
}

/** Up and down share one wait: the time is told once, with what went up. */
function crossingsOf({ plan, executed }: Finished): CrossingReport[] {
  if (plan.kind === 'local') return [];
  const { bytesUp, bytesDown } = executed.traffic;
  return [
    {
      cut: plan.cut,
      direction: 'up',
      bytes: bytesUp,
      predictedMs: plan.prediction.linkMs,
      measuredMs: executed.linkMs,
    },
    { cut: plan.cut, direction: 'down', bytes: bytesDown, predictedMs: 0, measuredMs: 0 },
  ];
}
