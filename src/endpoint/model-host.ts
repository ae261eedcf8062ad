/** One package that is served: its runner, whose turn it is, what is loaded, and a new runner after a crash. */
import type { Clock } from '../core/clock.ts';
import type { PhaseTensors, Segment, Span } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import { IsthmusError, isIsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { segmentsOf } from '../package/segments.ts';
import type { ModelLoad } from '../protocol/endpoint-load.ts';
import type { EndpointTiming } from '../protocol/messages.ts';
import type { SpanExecution, StepOutput } from '../runtime/executor.ts';
import type { PackageSource, SpanRunner } from '../runtime/runner.ts';
import { createExecutor } from '../runtime/span-executor.ts';
import { extentsSeen } from './extents-seen.ts';
import { HostedLane } from './hosted-lane.ts';
import { openLaneOn } from './lane-runner.ts';
import { LoadBook } from './load-book.ts';
import { rehearse } from './rehearse-host.ts';
import { SegmentPool } from './segment-pool.ts';
import { TurnQueue } from './turn-queue.ts';

export type CreateRunner = (manifest: Manifest, source: PackageSource) => SpanRunner;

export interface ModelHostOptions {
  readonly manifest: Manifest;
  readonly source: PackageSource;
  readonly createRunner: CreateRunner;
  readonly clock: Clock;
  readonly maxLoadedSegments: number;
  readonly log: (line: string) => void;
}

/** An execution that waits for its turns and knows how long it waited. */
export interface HostedExecution extends SpanExecution {
  /** Totals so far. */
  timing(): EndpointTiming;
}

/** What belongs to one runner and dies with it. */
interface Place {
  readonly runner: SpanRunner;
  readonly queue: TurnQueue;
  readonly pool: SegmentPool;
}

export class ModelHost {
  readonly manifest: Manifest;
  readonly #options: ModelHostOptions;
  readonly #load = new LoadBook();
  #place: Place | undefined;
  #closed = false;

  constructor(options: ModelHostOptions) {
    this.manifest = options.manifest;
    this.#options = options;
  }

  /** Requests that wait for a turn. */
  get waiting(): number {
    return this.#place?.queue.length ?? 0;
  }

  /** As told to clients. */
  load(): ModelLoad {
    const isBusy = this.#place?.queue.isBusy ?? false;
    return this.#load.report(this.waiting, isBusy, this.#options.clock.now());
  }

  get loadedSegments(): number {
    return this.#place?.pool.size ?? 0;
  }

  /**
   * Loads a span and opens an execution on it. Throws `bad-option` for no such span, `limit-exceeded`,
   * `closed`, and what loading throws. A runner that turns out to be dead is replaced once.
   */
  async open(span: Span, signal: AbortSignal): Promise<HostedExecution> {
    const segments = segmentsOf(this.manifest, span);
    const started = this.#options.clock.now();
    let place = this.#current();
    let release: () => void;
    try {
      release = await place.pool.acquire(segments);
    } catch (error) {
      if (!this.#discardIfLost(place, error) || this.#closed) throw error;
      place = this.#current();
      release = await place.pool.acquire(segments);
    }
    const loadMs = this.#options.clock.now() - started;
    return this.#execution(place, span, signal, loadMs, release);
  }

  /** A lane on the runner of now; it dies with it. Throws `unsupported-model`, `closed`. */
  openLane(): HostedLane {
    const place = this.#current();
    const { runner, queue, pool } = place;
    const { manifest } = this;
    return new HostedLane({
      manifest,
      lane: openLaneOn(manifest, runner),
      queue,
      pool,
      clock: this.#options.clock,
      load: this.#load,
      watch: (work) => this.#watch(place, work),
    });
  }

  /** Builds the sessions of the whole model, so that the first request need not wait for them. */
  async warm(): Promise<void> {
    const span = { from: 0, to: this.manifest.blocks.length };
    const release = await this.#current().pool.acquire(segmentsOf(this.manifest, span));
    release();
  }

  /** Short requests of its own: a client's first plan then rests on more than a guess about this place. */
  rehearse(): Promise<void> {
    return rehearse(this, this.#options.clock);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const place = this.#place;
    this.#place = undefined;
    await place?.runner.close();
  }

  #current(): Place {
    if (this.#closed) throw new IsthmusError('closed', 'the endpoint was closed');
    if (this.#place === undefined) {
      const { manifest, source, createRunner, maxLoadedSegments } = this.#options;
      const runner = createRunner(manifest, source);
      const queue = new TurnQueue();
      const loader = {
        load: (segment: Segment) => queue.run(() => runner.load(segment)),
        unload: (segment: Segment) => queue.run(() => runner.unload(segment)),
      };
      this.#place = { runner, queue, pool: new SegmentPool(loader, maxLoadedSegments) };
    }
    return this.#place;
  }

  /** True when the error says that the runner is dead; requests from now on get a new one. */
  #discardIfLost(place: Place, error: unknown): boolean {
    if (!isIsthmusError(error) || error.code !== 'worker-lost') return false;
    if (this.#place === place) {
      this.#place = undefined;
      this.#options.log(`${this.manifest.name}: the worker was lost, the next request gets a new one`);
      place.runner.close().catch(() => undefined);
    }
    return true;
  }

  #execution(
    place: Place,
    span: Span,
    signal: AbortSignal,
    loadMs: number,
    release: () => void,
  ): HostedExecution {
    const { clock } = this.#options;
    let queueMs = 0;
    let computeMs = 0;
    const { runner, queue } = place;
    const extents = extentsSeen(this.manifest);
    const inTurn: SpanRunner = {
      provider: runner.provider,
      threads: runner.threads,
      load: (segment, options) => runner.load(segment, options),
      unload: (segment) => runner.unload(segment),
      openState: () => this.#watch(place, runner.openState()),
      closeState: (state) => runner.closeState(state),
      close: () => runner.close(),
      run: (request) => {
        const asked = clock.now();
        const turn = queue.run(async () => {
          queueMs += clock.now() - asked;
          const result = await runner.run(request);
          computeMs += result.ms;
          const units = extents(request);
          if (units !== undefined) this.#load.ran(request.segment, request.phase, units, result.ms);
          return result;
        }, signal);
        return this.#watch(place, turn);
      },
    };
    const execution = createExecutor(this.manifest, span, inTurn).open();
    let closed = false;
    let answers = 1;
    return {
      segmentMs: execution.segmentMs,
      start: (feeds: PhaseTensors, prefix?: readonly number[]): Promise<StepOutput> =>
        execution.start(feeds, prefix),
      step: (input: readonly number[] | TensorMap): Promise<StepOutput> => {
        // Tensors come from a client, which waits for this answer by itself.
        if (!Array.isArray(input)) answers += 1;
        return execution.step(input);
      },
      timing: () => ({ queueMs, computeMs, loadMs }),
      close: async () => {
        if (closed) return;
        closed = true;
        this.#load.answered(queueMs / answers, queueMs + computeMs, clock.now());
        release();
        // A dead runner has no state left to forget.
        await execution.close().catch((error: unknown) => this.#discardIfLost(place, error));
      },
    };
  }

  async #watch<T>(place: Place, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.#discardIfLost(place, error);
      throw error;
    }
  }
}
