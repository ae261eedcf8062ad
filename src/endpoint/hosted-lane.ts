/**
 * A lane that takes turns with everyone else on its runner. A turn is at most `PREFILL_ROWS` rows or, while
 * others wait, one pass of a loop. A loop that nobody waits for runs on beside the runtime, without a hop between
 * threads per pass, and is called back at its next pass when somebody comes.
 */
import type { Clock } from '../core/clock.ts';
import type { Span } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import { throwIfAborted } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { crossingAtCut, segmentsOf } from '../package/segments.ts';
import type { EndpointTiming } from '../protocol/messages.ts';
import type {
  ForwardRequest,
  ForwardResult,
  LaneInput,
  LoopPass,
  LoopRequest,
  LoopResult,
} from '../runtime/lane.ts';
import { loopOf, rowsOf } from '../runtime/lane-check.ts';
import { cutRows, joinPieces } from '../runtime/lane-rows.ts';
import { PREFILL_ROWS } from '../runtime/lane-run.ts';
import type { PlacedLane } from './lane-runner.ts';
import { Stopwatch } from './lane-times.ts';
import { MAX_SLICE_TOKENS } from './limits.ts';
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

export interface HostedLoopOptions {
  /** `timing` is what passed since the pass before. */
  readonly onPass: (pass: LoopPass, timing: EndpointTiming) => void;
  /** Called before each turn with the positions that may be held after it; waits and throws as it likes. */
  readonly beforeTurn: (positions: number) => Promise<void>;
  /** Ends the loop at its next pass. */
  readonly halt: AbortSignal;
  /** Nobody wants the answer any more. */
  readonly signal: AbortSignal;
}

type LoopOutcome = Pick<LoopResult, 'reason' | 'endToken' | 'drafted' | 'accepted'>;

/** Calls must be made one after another. */
export class HostedLane {
  readonly #options: HostedLaneOptions;

  constructor(options: HostedLaneOptions) {
    this.#options = options;
  }

  /** Throws what a lane throws, and `limit-exceeded` when no more segments can be loaded. */
  async forward(request: ForwardRequest, signal: AbortSignal): Promise<Answered<ForwardResult>> {
    const times = new Stopwatch();
    const result = await this.#onSpan(request.span, times, () => this.#pieces(request, times, signal));
    this.#noteAnswered(times);
    return { result, timing: times.total() };
  }

  async loop(request: LoopRequest, options: HostedLoopOptions): Promise<Answered<LoopOutcome>> {
    const { stage } = loopOf(this.#options.manifest);
    const span = { from: stage.from, to: stage.to };
    const times = new Stopwatch();
    const result = await this.#onSpan(span, times, () => this.#slices(span, request, options, times));
    this.#noteAnswered(times);
    return { result, timing: times.total() };
  }

  #noteAnswered({ queueMs, computeMs }: Stopwatch): void {
    this.#options.load.answered(queueMs, queueMs + computeMs, this.#options.clock.now());
  }

  async readState(span: Span, from: number, to: number, signal: AbortSignal): Promise<Answered<TensorMap>> {
    const times = new Stopwatch();
    const { lane } = this.#options;
    const result = await this.#turn(times, signal, () => lane.readState(span, from, to));
    return { result, timing: times.total() };
  }

  async writeState(
    span: Span,
    from: number,
    tensors: TensorMap,
    signal: AbortSignal,
  ): Promise<Answered<undefined>> {
    const times = new Stopwatch();
    const { lane } = this.#options;
    await this.#turn(times, signal, () => lane.writeState(span, from, tensors));
    return { result: undefined, timing: times.total() };
  }

  async close(): Promise<void> {
    // A dead runner has no state left to forget.
    await this.#options.watch(this.#options.lane.close()).catch(() => undefined);
  }

  /** Holds the span's sessions while it is worked on; then the pool keeps them warm as long as it has room. */
  async #onSpan<T>(span: Span, times: Stopwatch, work: () => Promise<T>): Promise<T> {
    const { manifest, pool, clock, watch } = this.#options;
    const started = clock.now();
    const release = await watch(pool.acquire(segmentsOf(manifest, span)));
    times.loadMs += clock.now() - started;
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Work in its turn; the time it took counts as computed. */
  #turn<T>(times: Stopwatch, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { queue, clock, watch } = this.#options;
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

  /** Rows in their turn, written down by what they took. */
  async #timed(times: Stopwatch, signal: AbortSignal, request: ForwardRequest): Promise<ForwardResult> {
    const { lane, load, manifest } = this.#options;
    const before = times.computeMs;
    const result = await this.#turn(times, signal, () => lane.forward(request));
    const [segment, ...others] = segmentsOf(manifest, request.span);
    if (segment !== undefined && others.length === 0) {
      load.ran(segment, 'step', rowsOf(request.input), times.computeMs - before);
    }
    return result;
  }

  /** The last piece has all rows that are picked from. */
  async #pieces(request: ForwardRequest, times: Stopwatch, signal: AbortSignal): Promise<ForwardResult> {
    const { manifest } = this.#options;
    const { span, position, input, want } = request;
    const rows = rowsOf(input);
    const picked = want.kind === 'pick' ? want.pick.drafts.length + 1 : 0;
    const before: TensorMap[] = [];
    let from = 0;
    for (; rows - from > PREFILL_ROWS && rows - from - PREFILL_ROWS >= picked; from += PREFILL_ROWS) {
      const piece: ForwardRequest = {
        span,
        position: position + from,
        input: this.#cut(span, input, from, from + PREFILL_ROWS),
        want: want.kind === 'pick' ? { kind: 'nothing' } : want,
      };
      before.push((await this.#timed(times, signal, piece)).tensors);
    }
    const last: ForwardRequest = {
      span,
      position: position + from,
      input: this.#cut(span, input, from, rows),
      want,
    };
    const result = await this.#timed(times, signal, last);
    if (want.kind !== 'crossing' || before.length === 0) return result;
    const declared = crossingAtCut(manifest, span.to, 'step')?.sent ?? [];
    return { ...result, tensors: joinPieces([...before, result.tensors], declared, PREFILL_ROWS) };
  }

  #cut(span: Span, input: LaneInput, from: number, to: number): LaneInput {
    if (input.kind === 'tokens') return { kind: 'tokens', tokens: input.tokens.slice(from, to) };
    const declared = crossingAtCut(this.#options.manifest, span.from, 'step')?.sent ?? [];
    const tensors = cutRows(input.tensors, declared, input.rows, from, to);
    return { kind: 'tensors', tensors, rows: to - from };
  }

  async #slices(
    span: Span,
    request: LoopRequest,
    options: HostedLoopOptions,
    times: Stopwatch,
  ): Promise<LoopOutcome> {
    const { halt, signal, beforeTurn } = options;
    const answer = [...request.answer];
    const guessed = { drafted: 0, accepted: 0 };
    let { position, tokens } = request;
    while (tokens.length > PREFILL_ROWS && request.maxTokens > 0) {
      await beforeTurn(position + PREFILL_ROWS);
      if (halt.aborted) return { reason: 'stopped', ...guessed };
      const input: LaneInput = { kind: 'tokens', tokens: tokens.slice(0, PREFILL_ROWS) };
      const piece: ForwardRequest = { span, position, input, want: { kind: 'nothing' } };
      await this.#timed(times, signal, piece);
      position += PREFILL_ROWS;
      tokens = tokens.slice(PREFILL_ROWS);
    }
    for (let left = request.maxTokens; ; ) {
      const most = Math.min(left, MAX_SLICE_TOKENS);
      await beforeTurn(position + tokens.length + most);
      if (halt.aborted) return { reason: 'stopped', ...guessed };
      const slice = await this.#slice(
        { ...request, position, tokens, answer, maxTokens: most },
        options,
        times,
      );
      throwIfAborted(signal);
      const { drafted, accepted, ...ended } = slice.outcome;
      const { made } = slice;
      guessed.drafted += drafted;
      guessed.accepted += accepted;
      left -= made.length;
      // Fewer than asked for: the context is full.
      const isFull = ended.reason === 'max-tokens' && (left === 0 || made.length < most);
      if (ended.reason === 'end' || isFull) return { ...ended, ...guessed };
      const last = made.at(-1);
      if (last === undefined) continue;
      answer.push(...made);
      position += tokens.length + made.length - 1;
      tokens = [last];
    }
  }

  #ranPass(rows: number, ms: number): void {
    const { load, manifest } = this.#options;
    const { index, stage } = loopOf(manifest);
    load.ran({ stage: index, from: stage.from, to: stage.to }, 'step', rows, ms);
  }

  /** One turn: one pass where others wait, else until somebody does. */
  async #slice(request: LoopRequest, options: HostedLoopOptions, times: Stopwatch): Promise<Slice> {
    const { queue, lane, clock, watch } = this.#options;
    const { halt, signal, onPass } = options;
    const asked = clock.now();
    const turn = queue.run(async () => {
      let mark = clock.now();
      times.queueMs += mark - asked;
      const lap = (): void => {
        const now = clock.now();
        times.computeMs += now - mark;
        mark = now;
      };
      const stop = new AbortController();
      const end = (): void => stop.abort();
      const isAlone = queue.length === 0;
      const made: number[] = [];
      // Never before the first pass: two loops would else give way to each other for ever.
      let isAwaited = false;
      const giveWay = (): void => {
        isAwaited = true;
        if (made.length > 0) end();
      };
      const forget = isAlone ? queue.onWaiting(giveWay) : () => undefined;
      halt.addEventListener('abort', end, { once: true });
      signal.addEventListener('abort', end, { once: true });
      try {
        const { reason, endToken, drafted, accepted } = await lane.loop(
          isAlone ? request : { ...request, maxPasses: 1 },
          {
            signal: stop.signal,
            onPass: (pass) => {
              const began = mark;
              lap();
              // The first one's rows are those that came with the call.
              if (made.length > 0) this.#ranPass(pass.rows, mark - began);
              made.push(...pass.tokens);
              if (isAwaited) end();
              if (!signal.aborted) onPass(pass, times.lap());
            },
          },
        );
        const last = endToken === undefined ? {} : { endToken };
        return { outcome: { reason, drafted, accepted, ...last }, made };
      } finally {
        lap();
        forget();
        halt.removeEventListener('abort', end);
        signal.removeEventListener('abort', end);
      }
    }, signal);
    return watch(turn);
  }
}

interface Slice {
  readonly outcome: LoopOutcome;
  readonly made: readonly number[];
}
