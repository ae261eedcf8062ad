/** How fast a device runs text, measured on the model's first blocks as soon as these are here. */
import type { Clock } from '../../core/clock.ts';
import { throwIfAborted } from '../../errors.ts';
import type { InTurn } from '../../runtime/in-turn.ts';
import type { Lane } from '../../runtime/lane.ts';
import { type Look, type LookSize, lookAtDevice } from './device-look.ts';

export interface CalibrationOptions {
  readonly clock: Clock;
  readonly isFrontApart: boolean;
  /** What else may run there beside texts. */
  readonly beside: InTurn;
  readonly signal?: AbortSignal | undefined;
}

/** The lane is fresh, and its first blocks are ready. Throws what the lane throws, and `aborted`. */
export async function calibrateText(
  lane: Lane,
  size: LookSize,
  { clock, isFrontApart, beside, signal }: CalibrationOptions,
): Promise<Look> {
  const calls = lookAtDevice(size, isFrontApart);
  const want = { kind: 'nothing' } as const;
  for (let next = calls.next(); ; ) {
    if (next.done) return next.value;
    throwIfAborted(signal);
    const { span, position, rows } = next.value;
    const input = { kind: 'tokens', tokens: Array.from({ length: rows }, () => 0) } as const;
    const ms = await beside.do(async () => {
      const began = clock.now();
      await lane.forward({ span, position, input, want });
      return clock.now() - began;
    });
    next = calls.next(ms);
  }
}
