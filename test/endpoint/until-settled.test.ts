import { describe, expect, it } from 'vitest';
import { untilSettled } from '../../src/endpoint/until-settled.ts';

/** How many runs are made where they take so long, the last for ever. */
async function runsOf(times: readonly number[]): Promise<number> {
  let now = 0;
  let runs = 0;
  await untilSettled(
    async () => {
      now += times[Math.min(runs, times.length - 1)] ?? 0;
      runs += 1;
    },
    { now: () => now, epoch: () => now },
  );
  return runs;
}

describe('rehearsals', () => {
  it('end when a run brings no gain, but not before the third', async () => {
    expect(await runsOf([100, 100])).toBe(3);
    expect(await runsOf([100, 40, 39])).toBe(3);
    expect(await runsOf([160, 120, 90, 60, 50, 49])).toBe(6);
  });

  it('do not go on for ever', async () => {
    const faster = Array.from({ length: 40 }, (_, run) => 1000 * 0.5 ** run);
    expect(await runsOf(faster)).toBe(10);
  });

  it('fail with a run that fails', async () => {
    const failed = untilSettled(() => Promise.reject(new Error('no')), { now: () => 0, epoch: () => 0 });
    await expect(failed).rejects.toThrow('no');
  });
});
