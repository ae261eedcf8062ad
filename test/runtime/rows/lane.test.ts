/** The lane contract on our own kernels, however the model is loaded and on however many threads. */
import { onTestFinished } from 'vitest';
import type { Segment } from '../../../src/core/span.ts';
import { createLane } from '../../../src/runtime/create-lane.ts';
import { createPackageRunner } from '../../../src/runtime/node/package-runner.ts';
import { startNodeThread } from '../../../src/runtime/rows/node/start-thread.ts';
import { openRowsRunner } from '../../../src/runtime/rows/open-rows.ts';
import type { PlaceOptions } from '../../../src/runtime/rows/place.ts';
import type { SegmentRunner } from '../../../src/runtime/runner.ts';
import { laneContract, type MakeLanes } from '../../contracts/lane.ts';
import { supportOf } from '../../fixtures/rows.ts';
import type { LoopPackage } from '../loop-package.ts';

type Open = (pkg: LoopPackage) => Promise<SegmentRunner>;

const rows =
  (options: PlaceOptions): Open =>
  async (pkg) =>
    openRowsRunner(pkg.manifest, pkg.source, await supportOf(pkg), options);

const lanes =
  (open: Open, cut: (blocks: number) => readonly Segment[]): MakeLanes =>
  async (pkg) => {
    const runner = await open(pkg);
    onTestFinished(() => runner.close());
    for (const segment of cut(pkg.manifest.blocks.length)) await runner.load(segment);
    return async () => createLane({ manifest: pkg.manifest, runner, loaded: () => runner.loaded() });
  };

/** Spans of any length can be put together from these; the whole model is one of them. */
const bySpan = (blocks: number): Segment[] => [{ stage: 0, from: 0, to: blocks }, ...byBlock(blocks)];

const byBlock = (blocks: number): Segment[] =>
  Array.from({ length: blocks }, (_, from) => ({ stage: 0, from, to: from + 1 }));

const two: PlaceOptions = { threads: 2, startThread: startNodeThread };

laneContract('kernels over the whole model', lanes(rows({ threads: 1 }), bySpan));
laneContract('kernels over each block', lanes(rows({ threads: 1 }), byBlock));
laneContract('kernels on two threads', lanes(rows(two), bySpan));
laneContract(
  "the endpoint's runner",
  lanes(async ({ manifest, source }) => createPackageRunner(manifest, source), byBlock),
);
