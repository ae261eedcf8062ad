/** How fast a device runs text, measured on the model's first blocks as soon as these are here. */
import type { Clock } from '../../core/clock.ts';
import type { Lane } from '../../runtime/lane.ts';
import type { Pace } from './pace.ts';

/** Enough rows to see what rows have in common. */
const MANY_ROWS = 16;

/** Steps that count; the one before them allocates. */
const STEPS = 3;

/** The first block is an embedding more often than not, and says little of the others. */
export const CALIBRATION_BLOCKS = 3;

/** The lane is fresh, and its first blocks are ready. */
export async function calibrateText(lane: Lane, blocks: number, pace: Pace, clock: Clock): Promise<void> {
  const span = { from: 0, to: Math.min(CALIBRATION_BLOCKS, blocks) };
  const want = { kind: 'nothing' } as const;
  const run = async (position: number, rows: number): Promise<number> => {
    const began = clock.now();
    const input = { kind: 'tokens', tokens: Array.from({ length: rows }, () => 0) } as const;
    await lane.forward({ span, position, input, want });
    return clock.now() - began;
  };
  await run(0, MANY_ROWS);
  pace.learn(span, MANY_ROWS, await run(0, MANY_ROWS));
  const steps: number[] = [];
  for (let step = 0; step <= STEPS; step += 1) steps.push(await run(MANY_ROWS + step, 1));
  pace.learn(span, 1, Math.min(...steps.slice(1)));
}
