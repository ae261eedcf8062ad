/** A span runner on our own kernels, or the reason why another must be taken. */
import { systemClock } from '../../core/clock.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { PackageSource } from '../runner.ts';
import { KernelPlace, type PlaceOptions } from './place.ts';
import { RowsRunner } from './rows-runner.ts';
import type { RowsSupport } from './rows-support.ts';

/**
 * @param support what `rowsSupport` said of the package
 * @throws IsthmusError `no-provider` where WebAssembly lacks what the kernels need
 */
export async function openRowsRunner(
  manifest: Manifest,
  source: PackageSource,
  support: Exclude<RowsSupport, { readonly refused: string }>,
  options: PlaceOptions,
): Promise<RowsRunner> {
  const place = await KernelPlace.open(options);
  return new RowsRunner({
    manifest,
    source,
    ...support,
    place,
    provider: 'wasm',
    clock: systemClock,
  });
}
