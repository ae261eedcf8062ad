/** Runtimes that were asked to start, and what became of each. */
import { isIsthmusError } from '../errors.ts';
import type { DeviceRunner } from '../runtime/runner.ts';

/** `failed`: for want of a network, or for good; its runner cannot tell. */
export type RuntimeState = 'idle' | 'starting' | 'started' | 'failed';

interface Start {
  readonly done: Promise<void>;
  state: RuntimeState;
}

export class RuntimeStarts {
  readonly #starts = new WeakMap<DeviceRunner, Start>();

  stateOf(runner: DeviceRunner): RuntimeState {
    return this.#starts.get(runner)?.state ?? 'idle';
  }

  /** Starts a runner's runtime, or joins the attempt under way. Throws what `DeviceRunner.start` throws. */
  start(runner: DeviceRunner): Promise<void> {
    const known = this.#starts.get(runner);
    if (known !== undefined) return known.done;
    const start: Start = { done: runner.start(), state: 'starting' };
    this.#starts.set(runner, start);
    start.done.then(
      () => {
        start.state = 'started';
      },
      (error: unknown) => {
        if (isIsthmusError(error) && error.code === 'no-provider') start.state = 'failed';
        // It says nothing of the runtime: a file did not come, a worker ended. The next one to ask tries again.
        else this.#starts.delete(runner);
      },
    );
    return start.done;
  }
}
