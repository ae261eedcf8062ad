/** What of a package's files is not on the device, as far as has been looked up. */
import type { Clock } from '../core/clock.ts';
import type { Manifest } from '../package/manifest.ts';
import { filesByBlock } from '../package/segments.ts';

export class MissingFiles {
  readonly #clock: Clock;
  readonly #ask: (files: readonly string[]) => Promise<readonly number[]>;
  readonly #byBlock: readonly (readonly string[])[];
  /** Bytes that each cut lacks, and each file. */
  readonly #ofCuts = new Map<number, number>();
  readonly #ofFiles = new Map<string, number>();
  #lookedUpAt = -Infinity;

  /** @param ask bytes that each of these files lacks here */
  constructor(
    manifest: Manifest,
    clock: Clock,
    ask: (files: readonly string[]) => Promise<readonly number[]>,
  ) {
    this.#clock = clock;
    this.#ask = ask;
    this.#byBlock = filesByBlock(manifest);
  }

  /** Files that blocks `[0, cut)` need: graphs of their stages and their shards. */
  files(cut: number): string[] {
    return this.#byBlock.slice(0, cut).flat();
  }

  /** Ms since it was last looked up what of all files is not here. */
  get sinceLookedUpMs(): number {
    return Math.max(0, this.#clock.now() - this.#lookedUpAt);
  }

  /** Looks up what of these files is not here, by default of all. What was found here once stays. */
  async refresh(some?: readonly string[]): Promise<void> {
    if (some === undefined) this.#lookedUpAt = this.#clock.now();
    await this.#lookUp(some ?? this.#byBlock.flat());
    let missing = 0;
    for (const [block, files] of this.#byBlock.entries()) {
      missing += this.bytesOf(files);
      this.#ofCuts.set(block + 1, missing);
    }
  }

  /** Looks up whether all of these files are here. */
  async has(files: readonly string[]): Promise<boolean> {
    await this.#lookUp(files);
    return this.bytesOf(files) === 0;
  }

  /** Bytes of these files that were not here when they were last looked up. */
  bytesOf(files: readonly string[]): number {
    return files.reduce((sum, file) => sum + (this.#ofFiles.get(file) ?? 0), 0);
  }

  /** The same of all that blocks `[0, cut)` need, when that was last refreshed. */
  bytesUntil(cut: number): number {
    return cut === 0 ? 0 : (this.#ofCuts.get(cut) ?? 0);
  }

  async #lookUp(files: readonly string[]): Promise<void> {
    const unknown = files.filter((file) => this.#ofFiles.get(file) !== 0);
    if (unknown.length === 0) return;
    // In one call: a worker that computes answers between two of them.
    const missing = await this.#ask(unknown);
    for (const [at, file] of unknown.entries()) {
      if (this.#ofFiles.get(file) !== 0) this.#ofFiles.set(file, missing[at] ?? 0);
    }
  }
}
