/** The contract on lanes beside a native runner, with one session for all and with one for each block. */
import { onTestFinished } from 'vitest';
import type { Segment } from '../../src/core/span.ts';
import { createLane } from '../../src/runtime/create-lane.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import type { SpanRunner } from '../../src/runtime/runner.ts';
import { laneContract, type MakeLanes } from '../contracts/lane.ts';

/** Loads what is run when it is first run, as the endpoint does. */
function loading(runner: SpanRunner): SpanRunner {
  return {
    provider: runner.provider,
    threads: runner.threads,
    load: (segment, options) => runner.load(segment, options),
    unload: (segment) => runner.unload(segment),
    openState: () => runner.openState(),
    closeState: (state) => runner.closeState(state),
    readState: (...given) => runner.readState?.(...given) ?? Promise.reject(new Error('not readable')),
    writeState: (...given) => runner.writeState?.(...given) ?? Promise.reject(new Error('not writable')),
    run: async (request) => {
      await runner.load(request.segment);
      return runner.run(request);
    },
    close: () => runner.close(),
  };
}

const bySpan: MakeLanes = async ({ manifest, source }) => {
  const runner = createNodeRunner(manifest, source);
  onTestFinished(() => runner.close());
  return async () => createLane({ manifest, runner: loading(runner) });
};

const byBlock: MakeLanes = async ({ manifest, source }) => {
  const runner = createNodeRunner(manifest, source);
  onTestFinished(() => runner.close());
  for (const { index } of manifest.blocks) {
    const segment: Segment = { stage: 0, from: index, to: index + 1 };
    await runner.load(segment);
  }
  return async () => createLane({ manifest, runner, loaded: () => runner.loaded() });
};

laneContract('a lane on a session for each span', bySpan);
laneContract('a lane on a session for each block', byBlock);
