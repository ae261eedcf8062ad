/** Which runtime runs a package in the worker: our kernels where they can, else onnxruntime-web. */
import { isIsthmusError } from '../../errors.ts';
import type { LoadedPackage } from '../../package/source.ts';
import { letGo } from '../../storage/let-go.ts';
import { startHelperWorker } from '../rows/browser/helper-worker.ts';
import { openRowsRunner } from '../rows/open-rows.ts';
import { rowsSupport } from '../rows/rows-support.ts';
import type { SegmentRunner } from '../runner.ts';
import { createWebRunner, startRuntime, threadsHere, type WebProvider } from './ort-web.ts';

export interface RunnerWishes {
  readonly provider: WebProvider;
  readonly threads: number;
  readonly wasmPaths?: string;
}

/** Throws `no-provider` where nothing runs here, and what reading the package throws. */
export async function openRunner(
  { manifest, source }: LoadedPackage,
  { provider, threads, wasmPaths }: RunnerWishes,
): Promise<SegmentRunner> {
  if (manifest.text !== undefined && provider === 'wasm') {
    const support = await rowsSupport(manifest, source);
    if (!('refused' in support)) {
      try {
        const options = { threads: threadsHere(threads), startThread: startHelperWorker, letGo };
        return await openRowsRunner(manifest, source, support, options);
      } catch (error) {
        // A browser without SIMD: onnxruntime-web will say so in its own words, or can do without.
        if (!isIsthmusError(error) || error.code !== 'no-provider') throw error;
      }
    }
  }
  const paths = wasmPaths === undefined ? {} : { wasmPaths };
  const runtime = await startRuntime({ provider, threads, ...paths });
  return createWebRunner(runtime, { manifest, source });
}
