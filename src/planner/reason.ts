/** Why a plan was chosen, in words for a person, from the predictions alone. */

import { isWithin } from '../core/span.ts';
import { type PhaseMs, spanMs } from '../device/span-ms.ts';
import type { Manifest } from '../package/manifest.ts';
import type { CostModel } from './cost.ts';
import type { Prediction, PricedPlan } from './types.ts';

/** Endpoint and device count as equally fast within this factor. */
const SAME_SPEED = 1.2;

/** `chosen` against the plans beside it, rejected ones included. */
export function explainChoice(
  chosen: PricedPlan,
  plans: readonly PricedPlan[],
  model: CostModel,
  forced: boolean,
): string {
  const head = `${chosen.id}: ${ms(chosen.prediction.totalMs)} predicted`;
  if (forced) return `${head}, as the options ask for it`;
  const others = plans.filter((plan) => plan.id !== chosen.id);
  const open = others.filter((plan) => plan.rejected === undefined);
  const excluded = exclusions(others);
  if (open.length === 0) return [`${head}, the only plan that can run`, ...excluded].join('; ');

  // Against the two that anyone would try first; `plans` comes best first, so remote's best codec.
  const rivals = (['local', 'remote'] as const).flatMap((kind) => {
    if (kind === chosen.kind) return [];
    const rival = open.find((plan) => plan.kind === kind);
    return rival === undefined ? [] : [rival];
  });
  const [rival = open[0], next] = [...rivals].sort((a, b) => a.prediction.totalMs - b.prediction.totalMs);
  if (rival === undefined) return head;
  if (chosen.prediction.totalMs > rival.prediction.totalMs) {
    const rivalMs = ms(rival.prediction.totalMs);
    return [`${head}, preferred to ${rival.id} (${rivalMs}) by what the options ask for`, ...excluded].join(
      '; ',
    );
  }
  const gain = sooner(chosen.prediction, rival.prediction);
  const because = `${head}, ${gain} ${rival.id} (${ms(rival.prediction.totalMs)}) because ${cause(chosen, rival, model)}`;
  const rest =
    next === undefined
      ? []
      : [`${next.id} would take ${ms(next.prediction.totalMs)}: ${burden(next, model)}`];
  return [because, ...rest, ...excluded].join('; ');
}

/** How many plans each limit rules out, by name where it is one. */
function exclusions(plans: readonly PricedPlan[]): readonly string[] {
  const byLimit = new Map<string, string[]>();
  for (const { id, rejected } of plans) {
    if (rejected !== undefined) byLimit.set(rejected, [...(byLimit.get(rejected) ?? []), id]);
  }
  return [...byLimit].map(
    ([limit, ids]) => `${ids.length === 1 ? ids[0] : `${ids.length} plans`} ruled out: ${limit}`,
  );
}

function sooner(chosen: Prediction, rival: Prediction): string {
  const percent = Math.round(100 * (1 - chosen.totalMs / Math.max(rival.totalMs, Number.MIN_VALUE)));
  return percent > 0 ? `${percent}% sooner than` : 'no later than';
}

/** The largest thing that the rival pays for and the chosen plan does not. */
function cause(chosen: PricedPlan, rival: PricedPlan, model: CostModel): string {
  const [a, b] = [chosen.prediction, rival.prediction];
  const savings = [
    { saved: b.weightsMs - a.weightsMs, why: () => weightsWords(b, rival) },
    { saved: b.linkMs - a.linkMs, why: () => linkWords(rival, model) },
    { saved: computeMs(b) - computeMs(a), why: () => computeWords(chosen, rival, model) },
  ].sort((x, y) => y.saved - x.saved);
  const largest = savings[0];
  return largest !== undefined && largest.saved > 0 ? largest.why() : 'nothing is gained by it';
}

/** What a plan that was not chosen spends most on. */
function burden(plan: PricedPlan, model: CostModel): string {
  const { prediction } = plan;
  const most = Math.max(prediction.weightsMs, prediction.linkMs, computeMs(prediction));
  if (most === prediction.weightsMs) return weightsWords(prediction, plan);
  if (most === prediction.linkMs) return linkWords(plan, model);
  if (plan.kind === 'local') return `${ms(prediction.deviceMs)} of work on this device`;
  return `${ms(prediction.deviceMs)} of work here and ${ms(prediction.endpointMs)} at the endpoint`;
}

function computeMs(prediction: Prediction): number {
  return prediction.deviceMs + prediction.endpointMs;
}

function weightsWords(prediction: Prediction, plan: PricedPlan): string {
  if (prediction.weightBytes === 0)
    return `${plan.id} first builds its sessions (${ms(prediction.weightsMs)})`;
  return `${plan.id} first fetches ${size(prediction.weightBytes)} of weights (${ms(prediction.weightsMs)})`;
}

function linkWords(plan: PricedPlan, model: CostModel): string {
  const { bytesUp, roundTrips, linkMs } = plan.prediction;
  const { upBytesPerSecond, rttMs } = model.input.link;
  const trips = roundTrips > 1 ? ` in ${Math.round(roundTrips)} round trips of ${ms(rttMs)}` : '';
  return `${plan.id} sends ${size(bytesUp)} up at ${size(upBytesPerSecond)}/s${trips} (${ms(linkMs)})`;
}

/** Compares the two sides on the blocks that change places between the two plans. */
function computeWords(chosen: PricedPlan, rival: PricedPlan, model: CostModel): string {
  const { manifest, workload } = model.input;
  const span = { from: Math.min(chosen.cut, rival.cut), to: Math.max(chosen.cut, rival.cut) };
  if (model.endpoint === undefined || span.from === span.to) return 'less is computed';
  const total = (part: PhaseMs) => part.once + part.init + part.step * workload.tokens;
  const here = total(spanMs(model.device, span));
  const there = total(spanMs(model.endpoint, span));
  const what = spanName(manifest, span.from, span.to);
  const outward = chosen.cut < rival.cut;
  const [slow, quick] = outward ? [here, there] : [there, here];
  if (slow > quick * SAME_SPEED) {
    const [winner, loser] = outward ? ['the endpoint', 'this device'] : ['this device', 'the endpoint'];
    return `${winner} runs ${what} ${times(slow / quick)} faster than ${loser}`;
  }
  const queueMs = model.input.endpoint?.queueMs ?? 0;
  return !outward && queueMs > 0
    ? `the endpoint lets work wait (${ms(queueMs)} a turn)`
    : `${what} runs about as fast on both sides`;
}

/** Stages by name where the span is made of whole ones, else blocks by number. */
function spanName(manifest: Manifest, from: number, to: number): string {
  const inside = manifest.stages.filter((stage) => isWithin(stage, { from, to }));
  const whole = inside[0]?.from === from && inside.at(-1)?.to === to;
  if (whole) return inside.map(({ name }) => name).join(' and ');
  return to - from === 1 ? `block ${from}` : `blocks ${from}-${to - 1}`;
}

function times(factor: number): string {
  if (!Number.isFinite(factor)) return 'much';
  return `${factor < 10 ? factor.toFixed(1) : Math.round(factor)}x`;
}

function ms(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  return value >= 10 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
}

function size(bytes: number): string {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 1e3 ? `${Math.round(bytes / 1e3)} KB` : `${Math.round(bytes)} B`;
}
