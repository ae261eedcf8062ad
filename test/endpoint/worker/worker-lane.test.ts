/** Lanes in the endpoint's worker: the contract over the whole way, and what crosses the threads. */
import { beforeAll, describe, expect, it } from 'vitest';
import { GREEDY } from '../../../src/core/sampling.ts';
import { createNodeRunner } from '../../../src/runtime/node/ort-node.ts';
import { laneContract } from '../../contracts/lane.ts';
import { type LoopPackage, llamaPackage, plainPackage } from '../../runtime/loop-package.ts';
import { startRemote } from '../../session/text/remote-setup.ts';
import { joined } from './joined.ts';

laneContract('a lane in the worker of an endpoint', async (pkg) => {
  const { open } = await startRemote(pkg, {
    createRunner: (manifest, source) => joined(manifest, source).runner,
  });
  return () => open();
});

describe('a lane in the worker', () => {
  let pkg: LoopPackage;
  beforeAll(async () => {
    pkg = await llamaPackage(256);
  });

  it('makes a loop without asking for a run from outside, and stops when told to', async () => {
    const runs: string[] = [];
    const { runner } = joined(pkg.manifest, pkg.source, (source) => {
      const inner = createNodeRunner(pkg.manifest, source);
      const { run } = inner;
      inner.run = (request) => {
        runs.push(request.phase);
        return run.call(inner, request);
      };
      return inner;
    });
    const segment = { stage: 0, from: 0, to: pkg.manifest.blocks.length };
    await runner.load(segment);
    const lane = runner.openLane();
    const stop = new AbortController();
    const told: number[] = [];
    const request = {
      position: 0,
      tokens: [1, 2],
      sampling: GREEDY,
      answer: [],
      endTokens: [],
      maxTokens: 200,
      drafts: 0,
    };
    const result = await lane.loop(request, {
      signal: stop.signal,
      onPass: ({ tokens }) => {
        told.push(...tokens);
        if (told.length >= 4) stop.abort();
      },
    });
    expect(result.reason).toBe('stopped');
    expect(result.tokens).toEqual(told);
    expect(told.length).toBeLessThan(200);
    expect(runs).toHaveLength(told.length);
    await lane.close();
    await lane.close();
    await runner.close();
  });

  it('fails with the worker, and says what a package without a text is', async () => {
    const { runner } = joined(pkg.manifest, pkg.source);
    const lane = runner.openLane();
    const reading = lane.readState({ from: 0, to: 1 }, 0, 0);
    runner.lost('it crashed');
    await expect(reading).rejects.toMatchObject({ code: 'worker-lost' });
    await expect(lane.close()).rejects.toMatchObject({ code: 'worker-lost' });

    const plain = plainPackage();
    const other = joined({ ...plain.manifest, stages: [] }, plain.source).runner;
    await expect(other.openLane().readState({ from: 0, to: 1 }, 0, 0)).rejects.toMatchObject({
      code: 'unsupported-model',
    });
    await other.close();
  });
});
