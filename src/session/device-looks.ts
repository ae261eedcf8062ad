/** Looks at a device that no request runs on: when one is due, and what they took. */
import { isLookDue, recheckInMs } from '../device/recheck.ts';
import type { Shared } from './parts.ts';
import { recheck } from './rehearse.ts';

/** How a device is looked at; models are of more than one kind. */
export interface WatchedDevice {
  /** Ms since it was seen to run. */
  sinceSeenMs(): number;
  /** Whether nothing has borne out yet what was measured first. */
  isDoubted(): boolean;
  /** Resolves false where nothing could be run. */
  recheck(signal: AbortSignal): Promise<boolean>;
}

export class DeviceLooks {
  readonly #shared: Shared;
  readonly #device: WatchedDevice;
  #checkedAt: number | undefined;
  #checkMs = 0;
  /** Requests that ran elsewhere, and when the first of them began. */
  #elsewhere = { requests: 0, from: 0 };

  /** @param device default: the runner, by a piece of a request */
  constructor(shared: Shared, device?: WatchedDevice) {
    this.#shared = shared;
    this.#device = device ?? {
      sinceSeenMs: () => shared.knowledge.sinceDeviceMs,
      isDoubted: () => shared.knowledge.isDeviceDoubted,
      recheck: (signal) => recheck(shared, signal),
    };
  }

  /** A request runs elsewhere. */
  noteElsewhere(): void {
    const now = this.#shared.parts.clock.now();
    const { requests, from } = this.#elsewhere;
    const isSeenSince = now - this.#device.sinceSeenMs() > from;
    this.#elsewhere =
      requests === 0 || isSeenSince ? { requests: 1, from: now } : { requests: requests + 1, from };
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
    const ran = await this.#device.recheck(signal);
    if (!ran) return false;
    this.#checkedAt = now;
    this.#elsewhere = { requests: 0, from: now };
    this.#checkMs = Math.max(0, clock.now() - now);
    return true;
  }

  get #watch() {
    const { parts } = this.#shared;
    const sinceCheckMs =
      this.#checkedAt === undefined ? Infinity : Math.max(0, parts.clock.now() - this.#checkedAt);
    const [sinceSeenMs, isDoubted] = [this.#device.sinceSeenMs(), this.#device.isDoubted()];
    const { requests } = this.#elsewhere;
    return { sinceSeenMs, sinceCheckMs, checkMs: this.#checkMs, isDoubted, requests };
  }
}
