/** Threads that help with runs: each has an instance of the kernels over the same memory and never returns. */
import type { Kernels } from './kernels.ts';
import { EPOCH_BYTE } from './run-block.ts';

/** What a thread is started with. */
export interface ThreadStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly block: number;
  /** 1 for the first helper; 0 is the caller of runs. */
  readonly thread: number;
  /** Runs before it came. */
  readonly epoch: number;
}

/** A helper on its way; ends with the thread. */
export interface HelperThread {
  /** Resolves when it is about to serve. */
  readonly ready: Promise<void>;
  stop(): void;
}

export type StartThread = (start: ThreadStart) => HelperThread;

/** In the helper. Never returns. */
export async function serveRuns(
  { module, memory, block, thread, epoch }: ThreadStart,
  ready: () => void,
): Promise<void> {
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  ready();
  // What kernels/index.ts exports.
  const { serve } = instance.exports as unknown as {
    serve(block: number, thread: number, epoch: number): void;
  };
  serve(block, thread, epoch);
}

/**
 * Runs are done by one thread until all helpers have come or failed; then by those that came before the
 * first one that failed. So no helper sees a run that does not count on it.
 */
export class Threads {
  readonly #helpers: readonly HelperThread[];
  #count = 1;
  #settled = false;
  #stopped = false;

  constructor(kernels: Kernels, block: number, wanted: number, start: StartThread) {
    const { module, memory } = kernels;
    const epoch = new Int32Array(memory.buffer, block + EPOCH_BYTE, 1)[0] ?? 0;
    this.#helpers = Array.from({ length: wanted - 1 }, (_, index) =>
      attempt(() => start({ module, memory, block, thread: index + 1, epoch })),
    );
    void Promise.allSettled(this.#helpers.map(({ ready }) => ready)).then((results) => {
      const failed = results.findIndex(({ status }) => status === 'rejected');
      const came = failed < 0 ? results.length : failed;
      for (const helper of this.#helpers.slice(came)) helper.stop();
      this.#settled = true;
      if (!this.#stopped) this.#count = came + 1;
    });
  }

  /** Threads that runs can count on, the caller's own among them. */
  get count(): number {
    return this.#count;
  }

  /** `count`, as far as can be told while helpers are on their way. */
  get expected(): number {
    return this.#settled || this.#stopped ? this.#count : this.#helpers.length + 1;
  }

  stop(): void {
    this.#stopped = true;
    this.#count = 1;
    for (const helper of this.#helpers) helper.stop();
  }
}

/** Some platforms refuse a thread at once, others when it has begun. */
function attempt(start: () => HelperThread): HelperThread {
  try {
    return start();
  } catch (error) {
    return { ready: Promise.reject(error), stop: () => undefined };
  }
}
