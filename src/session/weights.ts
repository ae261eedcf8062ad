/** Weights on their way to the device: in the background, or because the user asked. */
import type { Shared } from './parts.ts';
import type { Turns } from './turns.ts';

export class Weights {
  readonly #shared: Shared;
  readonly #turns: Turns;

  constructor(shared: Shared, turns: Turns) {
    this.#shared = shared;
    this.#turns = turns;
  }

  /** Fetches all weights file by file, standing back while a request needs the link, then builds. */
  async fetchAhead(signal: AbortSignal): Promise<void> {
    const { device, options } = this.#shared;
    if (options.prefetch === false) return;
    for (const file of device.files(this.#blocks)) {
      await this.#turns.idle();
      if (signal.aborted) return;
      await device.runner.fetchFiles([file], { signal });
      await this.refresh();
    }
    await this.#turns.idle();
    await device.executor(this.#blocks, { signal });
  }

  /** Fetches all weights at once. */
  async fetchAll(signal: AbortSignal | undefined): Promise<void> {
    const { device, emit } = this.#shared;
    const total = this.#wholeBytes();
    await device.refreshMissing();
    const held = total - device.missingBytes(this.#blocks);
    await device.runner.fetchFiles(device.files(this.#blocks), {
      onProgress: (done) => emit({ type: 'weights', done: held + done, total }),
      ...(signal === undefined ? {} : { signal }),
    });
    await this.refresh();
  }

  /** Looks up what is here, and says so. */
  async refresh(): Promise<void> {
    const { device, emit } = this.#shared;
    await device.refreshMissing();
    const total = this.#wholeBytes();
    emit({ type: 'weights', done: total - device.missingBytes(this.#blocks), total });
  }

  get #blocks(): number {
    return this.#shared.parts.manifest.blocks.length;
  }

  /** Bytes of everything that `local` needs. */
  #wholeBytes(): number {
    const { device, parts } = this.#shared;
    return device
      .files(this.#blocks)
      .reduce((sum, file) => sum + (parts.manifest.files[file]?.bytes ?? 0), 0);
  }
}
