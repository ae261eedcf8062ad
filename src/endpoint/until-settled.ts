/** Rehearsals: as many as a machine that has just started a server needs until it is as fast as it will be. */
import type { Clock } from '../core/clock.ts';

/** A median of three is not moved by the first; clients were told times three too long where the third was slow too. */
const LEAST_RUNS = 3;
/** A machine that only ever gets faster is not waited for. */
const MOST_RUNS = 10;

/** A run that takes no less than this share of the fastest before it brought no gain. */
const GAIN = 0.9;

/** Resolves behind the first run, from the third on, that is not faster than those before it. Throws what a run throws. */
export async function untilSettled(run: () => Promise<void>, clock: Clock): Promise<void> {
  let least = Infinity;
  for (let runs = 1; runs <= MOST_RUNS; runs += 1) {
    const began = clock.now();
    await run();
    const ms = clock.now() - began;
    if (runs >= LEAST_RUNS && ms >= GAIN * least) return;
    least = Math.min(least, ms);
  }
}
