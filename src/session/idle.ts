/**
 * What a session does while nobody asks anything: looks at a device that no request ran on for a while, and
 * at a link whose estimate has faded. Both are bounded, and end when a request comes.
 */
import { leavesDeviceIdle } from '../device/recheck.ts';
import { isIsthmusError } from '../errors.ts';
import { MAX_IDLE_PROBES, PROBE_INTERVAL_MS } from '../link/probe.ts';
import { DeviceLooks, type WatchedDevice } from './device-looks.ts';
import { LinkGlances } from './link-glances.ts';
import { probeLink } from './meet-endpoint.ts';
import type { Shared } from './parts.ts';
import type { Planned } from './request.ts';
import type { Turns } from './turns.ts';
import { inBackground } from './waiting.ts';

export class IdleWatch {
  readonly #shared: Shared;
  readonly #turns: Turns;
  readonly #stop: AbortSignal;
  #busy = 0;
  readonly #looks: DeviceLooks;
  readonly #glances: LinkGlances;
  #quiet = new AbortController();
  /** Whether the device was looked at beside what has run at the endpoint since. */
  #hasLooked = false;
  /** Fires when the next request comes. */
  #next = new AbortController();

  /** `stop` ends it for good. */
  constructor(shared: Shared, turns: Turns, stop: AbortSignal, device?: WatchedDevice) {
    this.#shared = shared;
    this.#turns = turns;
    this.#looks = new DeviceLooks(shared, device);
    this.#glances = new LinkGlances(shared);
    this.#stop = stop;
  }

  /** Runs a request; what goes on meanwhile for want of one ends. */
  async during<T>(request: Promise<T>): Promise<T> {
    this.#busy += 1;
    this.#quiet.abort();
    this.#next.abort();
    this.#next = new AbortController();
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

  /** A request runs under one plan alone: what that leaves idle, device or link, may be looked at. */
  beside(planned: Planned): void {
    inBackground(this.#glances.beside(planned));
    if (planned.plan.kind === 'remote') this.besideEndpoint();
    // Its own part comes first: the device is looked at behind it.
    else if (leavesDeviceIdle(planned.plan)) this.#looks.noteElsewhere();
  }

  /** A request runs at the endpoint alone, and leaves the device idle. */
  besideEndpoint(): void {
    const { device } = this.#shared;
    this.#looks.noteElsewhere();
    if (!device.isFree || !this.#looks.isDue) return;
    this.#hasLooked = true;
    this.#lookNow(this.#stop);
  }

  /**
   * It has ended. Where device and endpoint share cores a look beside it saw half of the device, and the same cores may
   * be busy again a moment later. Ends when a request comes.
   */
  behindEndpoint(): void {
    if (!this.#hasLooked && !this.#looks.isDue) return;
    this.#hasLooked = false;
    const isAnotherWaiting = this.#busy > 1;
    if (isAnotherWaiting || !this.#shared.device.isFree) return;
    this.#lookNow(AbortSignal.any([this.#next.signal, this.#stop]));
  }

  #lookNow(signal: AbortSignal): void {
    const looking = this.#looks.look(signal);
    // Whoever needs the device meanwhile waits for its few ms.
    this.#shared.device.leave(looking);
    inBackground(looking);
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
    if (!(await this.#wait(this.#looks.inMs, over))) return;
    try {
      await this.#shared.device.settled(over);
      // A turn like any request's, so that nothing else runs beside what is timed.
      await this.#turns.take(() => this.#looks.look(over), over);
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
