/** The contract across the boundary of a worker: the real link and proxy over a channel, both ends here. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { GREEDY } from '../../src/core/sampling.ts';
import { IsthmusError } from '../../src/errors.ts';
import { createLaneHost } from '../../src/runtime/browser/lane-host.ts';
import { openLaneProxy } from '../../src/runtime/browser/lane-proxy.ts';
import type { WorkerApi } from '../../src/runtime/browser/worker-api.ts';
import { WorkerCalls } from '../../src/runtime/browser/worker-calls.ts';
import { WorkerJobs } from '../../src/runtime/browser/worker-jobs.ts';
import { exposeHost } from '../../src/runtime/browser/worker-link.ts';
import { createLane } from '../../src/runtime/create-lane.ts';
import type { Lane } from '../../src/runtime/lane.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import { laneContract, pick, tokensIn } from '../contracts/lane.ts';
import { type LoopPackage, llamaPackage, prompt } from './loop-package.ts';

interface Boundary {
  readonly calls: WorkerCalls;
  readonly open: () => Promise<Lane>;
}

async function boundary({ manifest, source }: LoopPackage): Promise<Boundary> {
  const runner = createNodeRunner(manifest, source);
  const jobs = new WorkerJobs();
  const create = async () => createLane({ manifest, runner, loaded: () => runner.loaded() });
  const lanes = createLaneHost({ create, jobs });
  for (const { index } of manifest.blocks) await runner.load({ stage: 0, from: index, to: index + 1 });
  const { port1, port2 } = new MessageChannel();
  // Of the host only what lanes need; the rest is that of speech and has its tests in browsers.
  exposeHost({ ...lanes, cancel: async (job) => jobs.cancel(job) } as WorkerApi, port2);
  const worker = Object.assign(port1, { terminate: () => port1.close() }) as unknown as Worker;
  const calls = new WorkerCalls(worker);
  onTestFinished(async () => {
    calls.end(new IsthmusError('closed', 'the test is over'));
    port2.close();
    await runner.close();
  });
  return { calls, open: () => openLaneProxy(calls, manifest) };
}

laneContract('a lane behind a worker', async (pkg) => (await boundary(pkg)).open);

describe('a lane behind a worker', () => {
  const tokens = prompt(12, 160);
  const request = { position: 0, tokens, sampling: GREEDY, answer: [], endTokens: [], maxTokens: 300 };

  it('ends with its worker, whatever is under way', async () => {
    const pkg = await llamaPackage();
    const { calls, open } = await boundary(pkg);
    const lane = await open();
    const told: number[] = [];
    const looping = lane.loop(request, {
      onPass: ({ tokens }) => {
        told.push(...tokens);
        calls.end(new IsthmusError('worker-lost', 'it died'));
      },
    });
    await expect(looping).rejects.toMatchObject({ code: 'worker-lost' });
    expect(told).toHaveLength(1);
    const forward = { span: { from: 0, to: 6 }, position: 0, input: tokensIn([1]), want: pick() };
    await expect(lane.forward(forward)).rejects.toMatchObject({ code: 'worker-lost' });
    await expect(open()).rejects.toMatchObject({ code: 'worker-lost' });
    await lane.close();
    expect(lane.filled({ from: 0, to: 6 })).toBe(0);
  });

  it('knows what its blocks hold after calls that failed, too', async () => {
    const pkg = await llamaPackage();
    const { open } = await boundary(pkg);
    const lane = await open();
    onTestFinished(() => lane.close());
    const forward = {
      span: { from: 0, to: 3 },
      position: 0,
      input: tokensIn(tokens),
      want: { kind: 'nothing' },
    };
    await lane.forward({ ...forward, want: { kind: 'nothing' } });
    expect([0, 3, 5].map((from) => lane.filled({ from, to: from + 1 }))).toEqual([12, 0, 0]);
    const beyond = lane.forward({ ...forward, position: 13, want: { kind: 'nothing' } });
    await expect(beyond).rejects.toMatchObject({ code: 'bad-option', details: { filled: 12, position: 13 } });
    expect(lane.filled({ from: 0, to: 3 })).toBe(12);
  });

  it('leaves the tensors that it is given to the caller', async () => {
    const pkg = await llamaPackage();
    const { open } = await boundary(pkg);
    const lane = await open();
    onTestFinished(() => lane.close());
    const near = { from: 0, to: 3 };
    const { tensors } = await lane.forward({
      span: near,
      position: 0,
      input: tokensIn(tokens),
      want: { kind: 'crossing' },
    });
    const input = { kind: 'tensors', tensors, rows: 12 } as const;
    const far = { span: { from: 3, to: 6 }, position: 0, input, want: pick() };
    const first = await lane.forward(far);
    expect((await lane.forward(far)).tokens).toEqual(first.tokens);
  });
});
