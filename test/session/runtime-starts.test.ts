/** Starting a runtime: joined while it is under way, tried again after what may pass, given up for good otherwise. */
import { expect, it } from 'vitest';
import { type ErrorCode, IsthmusError } from '../../src/errors.ts';
import type { DeviceRunner } from '../../src/runtime/runner.ts';
import { RuntimeStarts } from '../../src/session/runtime-starts.ts';

function runnerThat(...starts: readonly (ErrorCode | 'starts')[]) {
  let asked = 0;
  const start = async (): Promise<void> => {
    const next = starts[asked];
    asked += 1;
    if (next !== undefined && next !== 'starts') throw new IsthmusError(next, 'made for this test');
  };
  // Nothing else of a runner is asked for.
  return { runner: { start } as unknown as DeviceRunner, asked: () => asked };
}

it('is started once, however many ask', async () => {
  const starts = new RuntimeStarts();
  const { runner, asked } = runnerThat('starts');
  await Promise.all([starts.start(runner), starts.start(runner)]);
  await starts.start(runner);
  expect(asked()).toBe(1);
  expect(starts.stateOf(runner)).toBe('started');
});

it.each(['endpoint-lost', 'bad-shard', 'worker-lost'] as const)('is tried anew after %s', async (code) => {
  const starts = new RuntimeStarts();
  const { runner, asked } = runnerThat(code, 'starts');
  await expect(starts.start(runner)).rejects.toMatchObject({ code });
  expect(starts.stateOf(runner)).toBe('idle');
  await starts.start(runner);
  expect(asked()).toBe(2);
  expect(starts.stateOf(runner)).toBe('started');
});

it('has failed for good where there is no provider', async () => {
  const starts = new RuntimeStarts();
  const { runner, asked } = runnerThat('no-provider', 'starts');
  await expect(starts.start(runner)).rejects.toMatchObject({ code: 'no-provider' });
  expect(starts.stateOf(runner)).toBe('failed');
  await expect(starts.start(runner)).rejects.toMatchObject({ code: 'no-provider' });
  expect(asked()).toBe(1);
});
