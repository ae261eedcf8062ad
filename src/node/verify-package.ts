/** Verifies an opened package in Node. */

import type { OpenedPackage } from '../package/node/open-package.ts';
import { segmentsOf } from '../package/segments.ts';
import { type Verdict, type VerifyInput, type VerifyProgress, verifyCuts } from '../package/verify.ts';
import { syntheticInputs } from '../package/verify-inputs.ts';
import { createLane } from '../runtime/create-lane.ts';
import { argmax } from '../runtime/decode.ts';
import { createPackageRunner } from '../runtime/node/package-runner.ts';
import { createExecutor } from '../runtime/span-executor.ts';

export interface VerifyPackageOptions {
  /** Default: made-up inputs at two extents. */
  readonly inputs?: readonly VerifyInput[];
  /** Default: every legal cut, 0 and the last included. */
  readonly cuts?: readonly number[];
  /** Threads of the runtime, default 1. */
  readonly threads?: number;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Runs the package split at each cut against the package unsplit.
 * @throws IsthmusError `bad-option`, `bad-shard`, `missing-shard`, `run-failed`, `aborted`
 */
export async function verifyPackage(
  { manifest, source }: OpenedPackage,
  options: VerifyPackageOptions = {},
): Promise<Verdict> {
  const runner = createPackageRunner(
    manifest,
    source,
    options.threads === undefined ? {} : { threads: options.threads },
  );
  try {
    return await verifyCuts(
      manifest,
      options.inputs ?? syntheticInputs(manifest),
      {
        executor: (span) => createExecutor(manifest, span, runner),
        unload: async (span) => {
          for (const segment of segmentsOf(manifest, span)) await runner.unload(segment);
        },
        lane: () => createLane({ manifest, runner, loaded: () => runner.loaded() }),
        argmax,
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      options.cuts,
    );
  } finally {
    await runner.close();
  }
}
