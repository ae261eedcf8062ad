/** How the work of one lane comes to its runner: spans are held ready while they are needed, and each piece has its turn. */
import type { Clock } from '../core/clock.ts';
import type { Span } from '../core/span.ts';
import type { Manifest } from '../package/manifest.ts';
import { segmentsOf } from '../package/segments.ts';
import type { EndpointTiming } from '../protocol/messages.ts';
import type { ForwardRequest, ForwardResult } from '../runtime/lane.ts';
import { rowsOf } from '../runtime/lane-check.ts';
import type { PlacedLane } from './lane-runner.ts';
import { Stopwatch } from './lane-times.ts';
import type { LoadBook } from './load-book.ts';
import type { SegmentPool } from './segment-pool.ts';
import type { TurnQueue } from './turn-queue.ts';

export interface HostedLaneOptions {
  readonly manifest: Manifest;
  readonly lane: PlacedLane;
  readonly queue: TurnQueue;
  readonly pool: SegmentPool;
  readonly clock: Clock;
  /** Told of waits and of what spans take. */
  readonly load: LoadBook;
  /** Notices when the runner turns out to be dead. */
  readonly watch: <T>(work: Promise<T>) => Promise<T>;
}

export interface Answered<T> {
  readonly result: T;
  readonly timing: EndpointTiming;
}

export class LaneTurns {
  readonly options: HostedLaneOptions;

  constructor(options: HostedLaneOptions) {
    this.options = options;
  }

  /**
   * A call that runs a span: its sessions are held while it is worked on; then the pool keeps them warm as long as it
   * has room. Throws `limit-exceeded` when no more segments can be loaded.
   */
  async onSpan<T>(span: Span, work: (times: Stopwatch) => Promise<T>): Promise<Answered<T>> {
    const { manifest, pool, clock, load, watch } = this.options;
    const times = new Stopwatch();
    const started = clock.now();
    const release = await watch(pool.acquire(segmentsOf(manifest, span)));
    times.loadMs += clock.now() - started;
    let result: T;
    try {
      result = await work(times);
    } finally {
      release();
    }
    const { queueMs, computeMs } = times;
    load.answered(queueMs, queueMs + computeMs, clock.now());
    return { result, timing: times.total() };
  }

  /** A call that is one piece of work. */
  async once<T>(signal: AbortSignal, work: () => Promise<T>): Promise<Answered<T>> {
    const times = new Stopwatch();
    const result = await this.#turn(times, signal, work);
    return { result, timing: times.total() };
  }

  /** Rows in their turn, written down by what they took. */
  async forward(times: Stopwatch, signal: AbortSignal, request: ForwardRequest): Promise<ForwardResult> {
    const before = times.computeMs;
    const result = await this.#turn(times, signal, () => this.options.lane.forward(request));
    this.ran(request.span, rowsOf(request.input), times.computeMs - before);
    return result;
  }

  /** Writes down what rows took in their turn. */
  ran(span: Span, rows: number, ms: number): void {
    const { load, manifest } = this.options;
    const [segment, ...others] = segmentsOf(manifest, span);
    if (segment !== undefined && others.length === 0) load.ran(segment, 'step', rows, ms);
  }

  /** Work in its turn; the time it took counts as computed. */
  #turn<T>(times: Stopwatch, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { queue, clock, watch } = this.options;
    const asked = clock.now();
    const turn = queue.run(async () => {
      const began = clock.now();
      times.queueMs += began - asked;
      try {
        return await work();
      } finally {
        times.computeMs += clock.now() - began;
      }
    }, signal);
    return watch(turn);
  }
}
