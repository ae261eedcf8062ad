/** The extents of a request's segments, read from what it feeds to the first: what times depend on. */
import { stageExtents } from '../core/extents.ts';
import type { Manifest } from '../package/manifest.ts';
import type { RunRequest } from '../runtime/runner.ts';

/**
 * Told of each run of one execution in order: units of a `once` segment, rows of context of `init`, 1 for `step`.
 * `undefined` where the request began in the middle, so that its extent does not show.
 */
export function extentsSeen(manifest: Manifest): (run: RunRequest) => number | undefined {
  let extents: readonly number[] = [];
  return ({ segment, phase, feeds }) => {
    if (phase === 'step') return 1;
    const [first] = manifest.stages;
    if (segment.stage === 0 && segment.from === 0 && first?.kind === 'once') {
      const units = feeds[first.extent.input]?.dims[first.extent.axis];
      if (units !== undefined) extents = stageExtents(manifest, units);
    }
    const extent = extents[segment.stage];
    return extent === undefined ? undefined : Math.round(extent);
  };
}
