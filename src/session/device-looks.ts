/** Looks at a device that no request runs on: when one is due, and what they took. */
import { isLookDue, recheckInMs } from '../device/recheck.ts';
import type { Shared } from './parts.ts';
import { recheck } from './rehearse.ts';

export class DeviceLooks {
  readonly #shared: Shared;
  #checkedAt: number | undefined;
  #checkMs = 0;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Ms of quiet until the next one. */
  get inMs(): number {
    return recheckInMs(this.#watch);
  }

  /** One that keeps nobody waiting may run now. */
  get isDue(): boolean {
    return isLookDue(this.#watch);
  }

  /** Nothing else may run here. Resolves false where the model is not built, and so nothing was run. */
  async look(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#shared.parts;
    const now = clock.now();
    const ran = await recheck(this.#shared, signal);
    if (!ran) return false;
    this.#checkedAt = now;
    this.#checkMs = Math.max(0, clock.now() - now);
    return true;
  }

  get #watch() {
    const { knowledge, parts } = this.#shared;
    const sinceCheckMs =
      this.#checkedAt === undefined ? Infinity : Math.max(0, parts.clock.now() - this.#checkedAt);
    const { sinceDeviceMs: sinceSeenMs, isDeviceDoubted: isDoubted } = knowledge;
    return { sinceSeenMs, sinceCheckMs, checkMs: this.#checkMs, isDoubted };
  }
}
