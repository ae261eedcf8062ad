/**
 * What a session does while nobody asks anything: looks at a device that no request ran on for a while, and
 * at a link whose estimate has faded. Both are bounded, and end when a request comes.
 */
import { recheckInMs } from '../device/recheck.ts';
import { isIsthmusError } from '../errors.ts';
import { MAX_IDLE_PROBES, PROBE_INTERVAL_MS } from '../link/probe.ts';
import { probeLink } from './meet-endpoint.ts';
import type { Shared } from './parts.ts';
import { recheck } from './rehearse.ts';
import type { Turns } from './turns.ts';
import { inBackground } from './waiting.ts';

/** How a device is looked at; models are of more than one kind. */
export interface WatchedDevice {
  /** Ms since it was seen to run. */
  sinceSeenMs(): number;
  /** Resolves false where nothing could be run. */
  recheck(signal: AbortSignal): Promise<boolean>;
}

export class IdleWatch {
  readonly #shared: Shared;
  readonly #turns: Turns;
  readonly #stop: AbortSignal;
  readonly #device: WatchedDevice;
  #busy = 0;
  #quiet = new AbortController();
  #checkedAt: number | undefined;
  #checkMs = 0;

  /** `stop` ends it for good. */
  constructor(shared: Shared, turns: Turns, stop: AbortSignal, device?: WatchedDevice) {
    this.#shared = shared;
    this.#device = device ?? {
      sinceSeenMs: () => shared.knowledge.sinceDeviceMs,
      recheck: (signal) => recheck(shared, signal),
    };
    this.#turns = turns;
    this.#stop = stop;
  }

  /** Runs a request; what goes on meanwhile for want of one ends. */
  async during<T>(request: Promise<T>): Promise<T> {
    this.#busy += 1;
    this.#quiet.abort();
    try {
      return await request;
    } finally {
      this.#busy -= 1;
      if (this.#busy === 0 && !this.#stop.aborted) {
        this.#quiet = new AbortController();
        inBackground(this.#look(AbortSignal.any([this.#quiet.signal, this.#stop])));
      }
    }
  }

  async #look(over: AbortSignal): Promise<void> {
    await Promise.all([this.#watchDevice(over), this.#watchLink(over)]);
  }

  async #watchLink(over: AbortSignal): Promise<void> {
    for (let probes = 0; probes < MAX_IDLE_PROBES; probes += 1) {
      if (!(await this.#wait(PROBE_INTERVAL_MS * 2 ** probes, over))) return;
      await this.#lookAtLink(probes);
    }
  }

  /** Once in each quiet: a page that is left open is not worth a battery. */
  async #watchDevice(over: AbortSignal): Promise<void> {
    const { parts } = this.#shared;
    const sinceCheckMs =
      this.#checkedAt === undefined ? Infinity : Math.max(0, parts.clock.now() - this.#checkedAt);
    const watch = { sinceSeenMs: this.#device.sinceSeenMs(), sinceCheckMs, checkMs: this.#checkMs };
    const inMs = recheckInMs(watch);
    if (inMs > 0 && !(await this.#wait(inMs, over))) return;
    // One that waits no longer is not given up for a request either: that waits for it, a few ms.
    const until = inMs > 0 ? over : this.#stop;
    try {
      await this.#shared.device.settled(over);
      const now = parts.clock.now();
      // A turn like any request's, so that nothing else runs beside what is timed.
      const ran = await this.#turns.take(() => this.#device.recheck(until), until);
      if (!ran) return;
      this.#checkedAt = now;
      this.#checkMs = Math.max(0, parts.clock.now() - now);
    } catch (error) {
      // A request came, or the worker died: whoever asks next finds out.
      if (!isIsthmusError(error)) throw error;
    }
  }

  async #lookAtLink(probes: number): Promise<void> {
    const { link } = this.#shared;
    if (link === undefined || link.state !== 'up') return;
    try {
      await probeLink(link, this.#shared, { quietMs: PROBE_INTERVAL_MS * 2 ** probes, probes });
    } catch (error) {
      // A link that is gone shows in its state.
      if (!isIsthmusError(error)) throw error;
    }
  }

  /** False when it is over. */
  async #wait(ms: number, over: AbortSignal): Promise<boolean> {
    // Timers outside browsers take whole ms alone.
    const waited = AbortSignal.any([this.#shared.timeout(Math.ceil(ms)), over]);
    if (!waited.aborted) {
      await new Promise<void>((resolve) => {
        waited.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return !over.aborted;
  }
}
