/** What a side's profile says about running a span: the sum that both the planner and scoring rest on. */
import { affineAt, stageExtents } from '../core/extents.ts';
import type { Phase, Span } from '../core/span.ts';
import { IsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import type { PhaseCost, SideProfile, Workload } from '../planner/types.ts';
import { stageIndices } from './work.ts';

/** Ms of a span by phase; `step` is for one token. */
export type PhaseMs = { readonly [phase in Phase]: number };

/** Ms of one phase of a block at extent `n`; a missing cost is 0. */
export function phaseMs(cost: PhaseCost | undefined, n: number): number {
  return cost === undefined ? 0 : affineAt(cost, n);
}

/**
 * Ms of every block for requests of `units`, ready to be summed over spans: `prefix[k]` covers
 * blocks `0..k-1`. Throws `internal` when the profile was made for a model of another block count.
 */
export function prefixMs(profile: SideProfile, manifest: Manifest, units: number): readonly PhaseMs[] {
  if (profile.blocks.length !== manifest.blocks.length) {
    throw new IsthmusError(
      'internal',
      `a profile of ${profile.blocks.length} blocks cannot price a model of ${manifest.blocks.length}`,
    );
  }
  const extents = stageExtents(manifest, units);
  const stages = stageIndices(manifest);
  let sum: PhaseMs = { once: 0, init: 0, step: 0 };
  const prefix = [sum];
  profile.blocks.forEach((cost, index) => {
    const extent = extents[stages[index] ?? 0] ?? 0;
    sum = {
      once: sum.once + phaseMs(cost.once, extent),
      init: sum.init + phaseMs(cost.init, extent),
      step: sum.step + phaseMs(cost.step, 1),
    };
    prefix.push(sum);
  });
  return prefix;
}

/** The part of `prefix` that lies in `span`. */
export function spanMs(prefix: readonly PhaseMs[], span: Span): PhaseMs {
  const from = prefix[span.from];
  const to = prefix[span.to];
  if (from === undefined || to === undefined || span.to < span.from) {
    throw new IsthmusError('internal', `blocks ${span.from}..${span.to} do not lie in the model`);
  }
  // Differences of running sums can fall below 0 by rounding.
  const part = (phase: Phase) => Math.max(0, to[phase] - from[phase]);
  return { once: part('once'), init: part('init'), step: part('step') };
}

/** Ms of the whole model on one side: what an execution provider is scored by. */
export function wholeMs(profile: SideProfile, manifest: Manifest, workload: Workload): number {
  const all = spanMs(prefixMs(profile, manifest, workload.units), { from: 0, to: manifest.blocks.length });
  return all.once + all.init + all.step * workload.tokens;
}
