/** How an answer is drawn, from what was asked for and what the model's makers recommend. */
import { GREEDY, type Sampling } from '../../core/sampling.ts';
import type { Manifest } from '../../package/manifest.ts';
import { checkSampling } from '../../runtime/sample-options.ts';

/**
 * Options that are absent are the package's, and greedy where it says nothing. Throws `bad-option` with the
 * option's name.
 * @param seed for a draw that nobody fixed
 */
export function samplingFor(
  manifest: Manifest,
  options: { readonly [name in keyof Sampling]?: Sampling[name] | undefined },
  seed: () => number,
): Sampling {
  const defaults = { ...GREEDY, ...manifest.text?.sampling };
  return checkSampling({ ...options, seed: options.seed ?? seed() }, defaults);
}
