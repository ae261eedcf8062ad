/**
 * Which execution provider to run on: the one that was measured faster on this very model. That a
 * GPU adapter exists is no evidence: a software adapter can be tens of times slower than WASM.
 */
import { IsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import type { SideProfile, Workload } from '../planner/types.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import { wholeMs } from './span-ms.ts';

/** A provider with its measured costs, or with why it could not be measured. */
export type ProviderCandidate =
  | { readonly provider: ExecutionProvider; readonly side: SideProfile }
  | { readonly provider: ExecutionProvider; readonly failure: string };

export interface ProviderChoice {
  readonly provider: ExecutionProvider;
  readonly side: SideProfile;
  /** For a person, e.g. `wasm: 340 ms for the whole model, 12.1x faster than webgpu (4110 ms)`. */
  readonly reason: string;
}

/**
 * The candidate that runs the whole model on `workload` soonest; on a tie the first given.
 * Throws `no-provider` when none could be measured, with each failure in `details.failures`.
 */
export function chooseProvider(
  candidates: readonly ProviderCandidate[],
  manifest: Manifest,
  workload: Workload,
): ProviderChoice {
  const timed = candidates
    .flatMap((one) => ('side' in one ? [{ ...one, ms: wholeMs(one.side, manifest, workload) }] : []))
    .filter(({ ms }) => Number.isFinite(ms))
    .sort((a, b) => a.ms - b.ms);
  const failed = candidates.flatMap((one) =>
    'failure' in one ? [`${one.provider} failed: ${one.failure}`] : [],
  );
  const [best, ...slower] = timed;
  if (best === undefined) {
    throw new IsthmusError('no-provider', 'no execution provider could be measured on this device', {
      details: { failures: failed },
    });
  }
  const rivals = slower.map(
    (other) =>
      `${(other.ms / Math.max(best.ms, 1e-3)).toFixed(1)}x faster than ${other.provider} (${Math.round(other.ms)} ms)`,
  );
  const alone = rivals.length === 0 && failed.length === 0 ? ['the only provider measured'] : [];
  const reason = [
    `${best.provider}: ${Math.round(best.ms)} ms for the whole model`,
    ...rivals,
    ...alone,
    ...failed,
  ];
  return { provider: best.provider, side: best.side, reason: reason.join(', ') };
}
