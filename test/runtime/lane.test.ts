/** The contract on lanes beside a native runner, with one session for all and with one for each block. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { GREEDY } from '../../src/core/sampling.ts';
import { createLane } from '../../src/runtime/create-lane.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import type { OrtRunner } from '../../src/runtime/ort-runner.ts';
import type { RunRequest, SpanRunner } from '../../src/runtime/runner.ts';
import { laneContract, type MakeLanes, pick, tokensIn } from '../contracts/lane.ts';
import { DeviceFiles, NodeDevice } from '../fixtures/node-device.ts';
import { type LoopPackage, llamaPackage, prompt } from './loop-package.ts';

function native({ manifest, source }: LoopPackage): OrtRunner {
  const runner = createNodeRunner(manifest, source);
  onTestFinished(() => runner.close());
  return runner;
}

async function loadBlocks({ manifest }: LoopPackage, runner: SpanRunner): Promise<void> {
  for (const { index } of manifest.blocks) await runner.load({ stage: 0, from: index, to: index + 1 });
}

/** Runs what it is asked after `before`. */
function watched(runner: OrtRunner, before: (request: RunRequest) => Promise<void>): SpanRunner {
  return {
    provider: runner.provider,
    threads: runner.threads,
    load: (segment, options) => runner.load(segment, options),
    unload: (segment) => runner.unload(segment),
    openState: () => runner.openState(),
    closeState: (state) => runner.closeState(state),
    readState: (...given) => runner.readState(...given),
    writeState: (...given) => runner.writeState(...given),
    run: async (request) => {
      await before(request);
      return runner.run(request);
    },
    close: () => runner.close(),
  };
}

const bySpan: MakeLanes = async (pkg) => {
  const runner = native(pkg);
  const loading = watched(runner, (request) => runner.load(request.segment));
  return async () => createLane({ manifest: pkg.manifest, runner: loading });
};

const byBlock: MakeLanes = async (pkg) => {
  const runner = native(pkg);
  await loadBlocks(pkg, runner);
  return async () => createLane({ manifest: pkg.manifest, runner, loaded: () => runner.loaded() });
};

const onDevice: MakeLanes = async ({ manifest, source }) => {
  const device = new NodeDevice(new DeviceFiles({ manifest, source, dir: '' }));
  onTestFinished(() => device.close());
  await loadBlocks({ manifest, source }, device);
  return () => device.openLane();
};

it('in turns of a pass it makes the text that it makes at once', async () => {
  const pkg = await llamaPackage();
  const runner = native(pkg);
  await loadBlocks(pkg, runner);
  const open = () => createLane({ manifest: pkg.manifest, runner, loaded: () => runner.loaded() });
  const tokens = prompt(12, 160, 4);
  const request = { sampling: GREEDY, endTokens: [], drafts: 5 };
  const whole = await open().loop(
    { ...request, position: 0, tokens, answer: [], maxTokens: 80 },
    { onPass: () => undefined },
  );
  const lane = open();
  const made: number[] = [];
  let turns = 0;
  for (; made.length < 80; turns += 1) {
    const next = made.length === 0 ? tokens : made.slice(-1);
    const position = made.length === 0 ? 0 : 12 + made.length - 1;
    const maxTokens = 80 - made.length;
    const turn = { ...request, position, tokens: next, answer: [...made], maxTokens, maxPasses: 1 };
    const passes: number[] = [];
    const result = await lane.loop(turn, { onPass: ({ rows }) => passes.push(rows) });
    expect(passes).toHaveLength(1);
    expect(result.reason).toBe(result.tokens.length === maxTokens ? 'max-tokens' : 'stopped');
    made.push(...result.tokens);
  }
  expect(made).toEqual(whole.tokens);
  expect(turns).toBeLessThan(80);
});

laneContract('a lane on a session for each span', bySpan);
laneContract('a lane on a session for each block', byBlock);
laneContract("a lane of the tests' device", onDevice);

describe('a lane on a runner', () => {
  const tokens = prompt(20, 160);

  it('scores the rows that are asked for alike in any pieces', async () => {
    const pkg = await llamaPackage();
    const all = { from: 0, to: pkg.manifest.blocks.length };
    const runner = native(pkg);
    await runner.load({ stage: 0, ...all });
    const scores = async (chunkRows: number, rows: number): Promise<Float32Array> => {
      const lane = createLane({ manifest: pkg.manifest, runner, chunkRows });
      const request = { span: all, position: 0, input: tokensIn(tokens) };
      const result = await lane.forward({ ...request, want: { kind: 'scores', rows } });
      expect(result.tokens).toEqual([]);
      await lane.close();
      return result.scores ?? new Float32Array();
    };
    const whole = await scores(64, 20);
    expect(whole).toHaveLength(20 * 160);
    for (const chunkRows of [1, 2, 7, 19]) expect(await scores(chunkRows, 20)).toEqual(whole);
    expect(await scores(7, 9)).toEqual(whole.slice(11 * 160));
    expect(await scores(64, 1)).toEqual(whole.slice(19 * 160));
  });

  it('confirms more proposals than fit in one piece', async () => {
    const pkg = await llamaPackage();
    const all = { from: 0, to: pkg.manifest.blocks.length };
    const runner = native(pkg);
    await runner.load({ stage: 0, ...all });
    const lane = createLane({ manifest: pkg.manifest, runner, chunkRows: 4 });
    const request = { position: 0, tokens, sampling: GREEDY, answer: [], endTokens: [], maxTokens: 12 };
    const { tokens: whole } = await lane.loop(request, { onPass: () => undefined });
    const drafts = whole.slice(0, 11);
    const input = tokensIn([...tokens, ...drafts]);
    const result = await lane.forward({ span: all, position: 0, input, want: pick({ drafts }) });
    expect(result.tokens).toEqual(whole);
  });

  it('runs the largest segments that are loaded, and says what is not', async () => {
    const pkg = await llamaPackage();
    const all = { from: 0, to: pkg.manifest.blocks.length };
    const runner = native(pkg);
    const ran: string[] = [];
    const lane = createLane({
      manifest: pkg.manifest,
      runner: watched(runner, async ({ segment }) => void ran.push(`${segment.from}-${segment.to}`)),
      loaded: () => runner.loaded(),
    });
    const run = (position: number) =>
      lane.forward({ span: all, position, input: tokensIn([5]), want: { kind: 'nothing' } });
    await expect(run(0)).rejects.toMatchObject({ code: 'run-failed', details: { wanted: { from: 0 } } });
    await loadBlocks(pkg, runner);
    await run(0);
    await runner.load({ stage: 0, from: 2, to: 6 });
    await run(1);
    await runner.load({ stage: 0, ...all });
    await run(2);
    expect(ran).toEqual(['0-1', '1-2', '2-3', '3-4', '4-5', '5-6', '0-1', '1-2', '2-6', '0-6']);
    await runner.unload({ stage: 0, ...all });
    await runner.unload({ stage: 0, from: 1, to: 2 });
    await expect(run(3)).rejects.toMatchObject({ code: 'run-failed' });
    expect(lane.filled(all)).toBe(3);
  });

  it('leaves off between pieces when it is aborted, and keeps what was run', async () => {
    const pkg = await llamaPackage();
    const all = { from: 0, to: pkg.manifest.blocks.length };
    const runner = native(pkg);
    await runner.load({ stage: 0, ...all });
    const stop = new AbortController();
    const lane = createLane({
      manifest: pkg.manifest,
      runner: watched(runner, async ({ at }) => {
        if (at?.position === 5) stop.abort();
      }),
      chunkRows: 5,
    });
    const request = { span: all, position: 0, input: tokensIn(tokens), want: pick() };
    await expect(lane.forward(request, { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' });
    expect(lane.filled(all)).toBe(10);
    const rest = { ...request, position: 10, input: tokensIn(tokens.slice(10)) };
    const fresh = createLane({ manifest: pkg.manifest, runner });
    expect(await lane.forward(rest)).toMatchObject({ tokens: (await fresh.forward(request)).tokens });
  });

  it('holds nothing in doubt when a run fails half way', async () => {
    const pkg = await llamaPackage();
    const all = { from: 0, to: pkg.manifest.blocks.length };
    const runner = native(pkg);
    await loadBlocks(pkg, runner);
    let failing = false;
    const lane = createLane({
      manifest: pkg.manifest,
      runner: watched(runner, async ({ segment }) => {
        if (failing && segment.from === 3) throw new Error('torn');
      }),
      loaded: () => runner.loaded(),
    });
    const step = (position: number) =>
      lane.forward({
        span: all,
        position,
        input: tokensIn(tokens.slice(position, position + 4)),
        want: pick(),
      });
    await step(0);
    await step(4);
    failing = true;
    await expect(step(2)).rejects.toThrow('torn');
    expect(lane.filled({ from: 0, to: 3 })).toBe(6);
    expect(lane.filled(all)).toBe(2);
    failing = false;
    const fresh = createLane({ manifest: pkg.manifest, runner, loaded: () => runner.loaded() });
    const whole = { span: all, position: 0, input: tokensIn(tokens.slice(0, 6)), want: pick() };
    expect((await step(2)).tokens).toEqual((await fresh.forward(whole)).tokens);
  });

  it('frees its state when it is closed, also under a call', async () => {
    const pkg = await llamaPackage();
    const device = new NodeDevice(new DeviceFiles({ ...pkg, dir: '' }));
    onTestFinished(() => device.close());
    await loadBlocks(pkg, device);
    const lane = await device.openLane();
    expect(device.states.size).toBe(0);
    const request = { position: 0, tokens, sampling: GREEDY, answer: [], endTokens: [], maxTokens: 300 };
    let closing: Promise<void> | undefined;
    const onPass = (): void => {
      expect(device.states.size).toBe(1);
      closing ??= lane.close();
    };
    await expect(lane.loop(request, { onPass })).rejects.toMatchObject({ code: 'closed' });
    await closing;
    expect(device.states.size).toBe(0);
  });

  it('ends with its runner', async () => {
    const pkg = await llamaPackage();
    const device = new NodeDevice(new DeviceFiles({ ...pkg, dir: '' }));
    onTestFinished(() => device.close());
    await loadBlocks(pkg, device);
    const lane = await device.openLane();
    const request = { position: 0, tokens, sampling: GREEDY, answer: [], endTokens: [], maxTokens: 300 };
    const loop = lane.loop(request, { onPass: () => device.die() });
    await expect(loop).rejects.toMatchObject({ code: 'worker-lost' });
    await lane.close();
    await expect(device.openLane()).rejects.toMatchObject({ code: 'worker-lost' });
  });
});
