/** The device's half of a session: its runner, the spans that are loaded and the weights that are here. */
import type { Clock } from '../core/clock.ts';
import { IsthmusError, isIsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { segmentsOf } from '../package/segments.ts';
import type { SpanExecutor } from '../runtime/executor.ts';
import type { DeviceRunner, ExecutionProvider, LoadOptions } from '../runtime/runner.ts';
import { segmentKey } from '../runtime/segment-key.ts';
import { createExecutor } from '../runtime/span-executor.ts';
import { MissingFiles } from './missing-files.ts';
import { RuntimeStarts, type RuntimeState } from './runtime-starts.ts';
import { inBackground, orAborted } from './waiting.ts';

/** Spans kept loaded: the one in use and the one before it, so that going back costs nothing. */
const MAX_LOADED_SPANS = 2;

export class DeviceSide {
  readonly manifest: Manifest;
  /** An earlier visit ran here: the browser has the runtime in its cache. */
  isReturning = false;
  readonly #clock: Clock;
  #runner: DeviceRunner;
  /** By cut, least recently used first. */
  readonly #loaded = new Map<number, SpanExecutor>();
  readonly #missing: MissingFiles;
  readonly #start: (provider: ExecutionProvider) => Promise<DeviceRunner>;
  #buildMs: number | undefined;
  readonly #starts = new RuntimeStarts();
  #restarting: Promise<void> | undefined;
  /** Work that was stopped and is not over yet: a run of the runtime ends, it is not broken off. */
  #leftover: Promise<unknown> = Promise.resolve();
  #leaving = 0;
  #closed = false;

  constructor(
    manifest: Manifest,
    runner: DeviceRunner,
    options: {
      readonly clock: Clock;
      readonly start: (provider: ExecutionProvider) => Promise<DeviceRunner>;
    },
  ) {
    this.manifest = manifest;
    this.#runner = runner;
    this.#clock = options.clock;
    this.#start = options.start;
    this.#missing = new MissingFiles(manifest, options.clock, (files) =>
      this.use((current) => current.missingBytes(files)),
    );
  }

  /** What was stopped; whoever runs here next waits for it, and whoever does not run here does not. */
  leave(work: Promise<unknown>): void {
    const before = this.#leftover;
    this.#leaving += 1;
    this.#leftover = Promise.allSettled([before, work]).finally(() => {
      this.#leaving -= 1;
    });
  }

  /** False while something that was stopped still runs. */
  get isFree(): boolean {
    return this.#leaving === 0;
  }

  /** Resolves when nothing that was stopped still runs. Throws `aborted`. */
  async settled(signal?: AbortSignal): Promise<void> {
    await orAborted(this.#leftover, signal);
  }

  get runner(): DeviceRunner {
    return this.#runner;
  }

  /** Puts another runner in place; the one before is ended, which gives its memory back. */
  async replace(runner: DeviceRunner): Promise<void> {
    if (this.#closed) {
      await runner.close();
      throw new IsthmusError('closed', 'the session was closed');
    }
    const before = this.#runner;
    this.#runner = runner;
    // What ran before has been fetched, and what was in use is to be ready again.
    if (this.#starts.stateOf(before) === 'started') {
      this.isReturning = true;
      inBackground(this.#starts.start(runner));
    }
    this.#loaded.clear();
    this.#buildMs = undefined;
    // One that died may fail at this too, and holds nothing any more.
    await before.close().catch(() => undefined);
  }

  get runtime(): RuntimeState {
    return this.#starts.stateOf(this.#runner);
  }

  /**
   * Starts the runtime, or joins the attempt under way; the signal ends the wait alone. One that could not be started
   * is tried anew on another runner: in its worker it has failed for good. Throws `no-provider`, `worker-lost`,
   * `aborted`.
   */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.runtime === 'failed') await orAborted(this.restart(this.#runner), signal);
    await orAborted(
      this.use((runner) => this.#starts.start(runner)),
      signal,
    );
  }

  /** Starts another runner in the place of one that died, unless that has been done already. */
  async restart(dead: DeviceRunner): Promise<void> {
    if (this.#runner !== dead) return;
    this.#restarting ??= this.#start(dead.provider)
      .then((runner) => this.replace(runner))
      .finally(() => {
        this.#restarting = undefined;
      });
    await this.#restarting;
  }

  /** `work` on the runner; when that turns out to have died, once more on a new one. */
  async use<T>(work: (runner: DeviceRunner) => Promise<T>): Promise<T> {
    const runner = this.#runner;
    try {
      return await work(runner);
    } catch (error) {
      if (!isIsthmusError(error) || error.code !== 'worker-lost') throw error;
      await this.restart(runner);
      return work(this.#runner);
    }
  }

  // Of files that are here or not, and when that was looked up: as `MissingFiles` says of each.

  files(cut: number): string[] {
    return this.#missing.files(cut);
  }

  get sinceLookedUpMs(): number {
    return this.#missing.sinceLookedUpMs;
  }

  refreshMissing(some?: readonly string[]): Promise<void> {
    return this.#missing.refresh(some);
  }

  has(files: readonly string[]): Promise<boolean> {
    return this.#missing.has(files);
  }

  missingOf(files: readonly string[]): number {
    return this.#missing.bytesOf(files);
  }

  missingBytes(cut: number): number {
    return this.#missing.bytesUntil(cut);
  }

  /** Ms that building the sessions of `[0, cut)` is expected to take; 0 once they are built. */
  loadMs(cut: number): number {
    if (cut === 0 || this.#loaded.has(cut)) return 0;
    return (this.#buildMs ?? 0) * this.#shareOf(cut);
  }

  isBuilt(cut: number): boolean {
    return this.#loaded.has(cut);
  }

  /** Blocks `[0, cut)`, ready to run. Throws what loading throws, e.g. `weights-missing`. */
  async executor(cut: number, options: LoadOptions = {}): Promise<SpanExecutor> {
    const known = this.#loaded.get(cut);
    if (known !== undefined) {
      this.#loaded.delete(cut);
      this.#loaded.set(cut, known);
      return known;
    }
    await this.start(options.signal);
    const runner = this.#runner;
    const executor = createExecutor(this.manifest, { from: 0, to: cut }, runner);
    const started = this.#clock.now();
    try {
      await executor.load(options);
    } catch (error) {
      throw await this.#explainMissing(cut, error);
    }
    // What was built on a runner that is gone is gone with it.
    if (runner !== this.#runner) return this.executor(cut, options);
    if (this.missingBytes(cut) === 0) this.#noteBuild(cut, Math.max(0, this.#clock.now() - started));
    this.#loaded.set(cut, executor);
    await this.#evict();
    return executor;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#loaded.clear();
    await this.#runner.close();
  }

  #noteBuild(cut: number, ms: number): void {
    this.#buildMs = ms / this.#shareOf(cut);
  }

  /** What blocks `[0, cut)`, at least one, are of the whole, by nodes of their graphs. */
  #shareOf(cut: number): number {
    const nodesOf = (blocks: Manifest['blocks']): number =>
      blocks.reduce((sum, block) => sum + block.nodes, 0);
    const { blocks } = this.manifest;
    return Math.max(1, nodesOf(blocks.slice(0, cut))) / Math.max(1, nodesOf(blocks));
  }

  /** A fetch that failed for want of a network is better told as what is missing. */
  async #explainMissing(cut: number, error: unknown): Promise<unknown> {
    if (!isIsthmusError(error) || error.code !== 'endpoint-lost') return error;
    const missing = (await this.#runner.missingBytes(this.files(cut))).reduce((sum, bytes) => sum + bytes, 0);
    return new IsthmusError(
      'weights-missing',
      `${missing} bytes of weights are not on this device and cannot be fetched now`,
      { details: { missingBytes: missing, cut }, cause: error },
    );
  }

  /** Unloads what is beyond the bound, but no segment that a kept span shares. */
  async #evict(): Promise<void> {
    while (this.#loaded.size > MAX_LOADED_SPANS) {
      const [oldest] = this.#loaded.keys();
      if (oldest === undefined) return;
      this.#loaded.delete(oldest);
      const kept = new Set([...this.#loaded.keys()].flatMap((cut) => this.#segmentKeys(cut)));
      for (const segment of segmentsOf(this.manifest, { from: 0, to: oldest })) {
        if (!kept.has(segmentKey(segment))) await this.#runner.unload(segment);
      }
    }
  }

  #segmentKeys(cut: number): string[] {
    return segmentsOf(this.manifest, { from: 0, to: cut }).map(segmentKey);
  }
}
