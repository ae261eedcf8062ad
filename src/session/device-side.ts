/** The device's half of a session: its runner, the spans that are loaded and the weights that are here. */
import type { Clock } from '../core/clock.ts';
import { IsthmusError, isIsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { filesByBlock, graphFile, phasesOf, segmentsOf, stageAt } from '../package/segments.ts';
import type { SpanExecutor } from '../runtime/executor.ts';
import type { DeviceRunner, ExecutionProvider, LoadOptions } from '../runtime/runner.ts';
import { segmentKey } from '../runtime/segment-key.ts';
import { createExecutor } from '../runtime/span-executor.ts';
import { RuntimeStarts, type RuntimeState } from './runtime-starts.ts';
import { inBackground, orAborted } from './waiting.ts';

/** Spans kept loaded: the one in use and the one before it, so that going back costs nothing. */
const MAX_LOADED_SPANS = 2;

export class DeviceSide {
  readonly manifest: Manifest;
  /** An earlier visit ran here: the browser has the runtime in its cache. */
  isReturning = false;
  readonly #clock: Clock;
  #lookedUpAt = -Infinity;
  #runner: DeviceRunner;
  /** By cut, least recently used first. */
  readonly #loaded = new Map<number, SpanExecutor>();
  readonly #filesByBlock: readonly (readonly string[])[];
  /** Bytes that each cut lacks, and each file. */
  readonly #missing = new Map<number, number>();
  readonly #lacking = new Map<string, number>();
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
    this.#filesByBlock = filesByBlock(manifest);
    this.#runner = runner;
    this.#clock = options.clock;
    this.#start = options.start;
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

  /** Files that blocks `[0, cut)` need: graphs of their stages and their shards. */
  files(cut: number): string[] {
    if (cut === 0) return [];
    const files = new Set<string>();
    for (const segment of segmentsOf(this.manifest, { from: 0, to: cut })) {
      const stage = stageAt(this.manifest, segment.stage);
      for (const phase of phasesOf(stage)) files.add(graphFile(stage, phase));
    }
    for (const block of this.manifest.blocks.slice(0, cut))
      for (const shard of block.shards) files.add(shard);
    return [...files];
  }

  /** Ms since it was last looked up what of all files is not here. */
  get sinceLookedUpMs(): number {
    return Math.max(0, this.#clock.now() - this.#lookedUpAt);
  }

  /** Looks up what of these files is not here, by default of all. What was found here once stays. */
  async refreshMissing(some?: readonly string[]): Promise<void> {
    if (some === undefined) this.#lookedUpAt = this.#clock.now();
    await this.#lookUp(some ?? this.files(this.manifest.blocks.length));
    let missing = 0;
    for (const [block, files] of this.#filesByBlock.entries()) {
      missing += this.missingOf(files);
      this.#missing.set(block + 1, missing);
    }
  }

  /** Looks up whether all of these files are here. */
  async has(files: readonly string[]): Promise<boolean> {
    await this.#lookUp(files);
    return this.missingOf(files) === 0;
  }

  async #lookUp(files: readonly string[]): Promise<void> {
    const unknown = files.filter((file) => this.#lacking.get(file) !== 0);
    if (unknown.length === 0) return;
    // In one call: a worker that computes answers between two of them.
    const missing = await this.use((runner) => runner.missingBytes(unknown));
    for (const [at, file] of unknown.entries()) {
      if (this.#lacking.get(file) !== 0) this.#lacking.set(file, missing[at] ?? 0);
    }
  }

  /** Bytes of these files that were not here when they were last looked up. */
  missingOf(files: readonly string[]): number {
    return files.reduce((sum, file) => sum + (this.#lacking.get(file) ?? 0), 0);
  }

  /** The same of all that blocks `[0, cut)` need. */
  missingBytes(cut: number): number {
    return cut === 0 ? 0 : (this.#missing.get(cut) ?? 0);
  }

  /** Ms that building the sessions of `[0, cut)` is expected to take; 0 once they are built. */
  loadMs(cut: number): number {
    if (cut === 0 || this.#loaded.has(cut)) return 0;
    const whole = this.manifest.blocks.reduce((sum, block) => sum + block.nodes, 0);
    const share =
      this.manifest.blocks.slice(0, cut).reduce((sum, block) => sum + block.nodes, 0) / Math.max(1, whole);
    return (this.#buildMs ?? 0) * share;
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
    const whole = this.manifest.blocks.reduce((sum, block) => sum + block.nodes, 0);
    const part = this.manifest.blocks.slice(0, cut).reduce((sum, block) => sum + block.nodes, 0);
    this.#buildMs = (ms * whole) / Math.max(1, part);
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
