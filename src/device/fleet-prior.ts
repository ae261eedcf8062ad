/** Between one device's costs and the one number that a fleet shares: octaves off the built-in guess. */
import type { Manifest } from '../package/manifest.ts';
import type { SideProfile, Workload } from '../planner/types.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import { type LearnedProfile, unmeasured } from './learned-profile.ts';
import { priorSide, scaleSide } from './prior.ts';
import { wholeMs } from './span-ms.ts';

/** Times that `side` takes for `workload` what its sizes say, as a logarithm to base 2; `NaN` for a model without work. */
export function octavesOff(side: SideProfile, manifest: Manifest, workload: Workload): number {
  const guess = priorSide(manifest, side.provider);
  return Math.log2(wholeMs(side, manifest, workload) / wholeMs(guess, manifest, workload));
}

/** A device so many octaves off the guess. Confidence 0: the first measurement replaces it. */
export function fleetProfile(
  manifest: Manifest,
  provider: ExecutionProvider,
  octaves: number,
): LearnedProfile {
  const guess = priorSide(manifest, provider);
  return unmeasured(scaleSide(guess, 2 ** octaves, { provider, confidence: 0 }));
}
