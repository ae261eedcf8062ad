/**
 * A lane that takes turns with everyone else on its runner. A turn is at most `PREFILL_ROWS` rows or, while
 * others wait, one pass of a loop.
 */
import type { Span } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import { crossingAtCut } from '../package/segments.ts';
import type { ForwardRequest, ForwardResult, LaneInput, LoopRequest } from '../runtime/lane.ts';
import { loopOf, rowsOf } from '../runtime/lane-check.ts';
import { cutRows, joinPieces } from '../runtime/lane-rows.ts';
import { PREFILL_ROWS } from '../runtime/lane-run.ts';
import { type HostedLoopOptions, type LoopOutcome, runHostedLoop } from './hosted-loop.ts';
import type { Stopwatch } from './lane-times.ts';
import { type Answered, type HostedLaneOptions, LaneTurns } from './lane-turns.ts';

export type { HostedLoopOptions } from './hosted-loop.ts';

/** Calls must be made one after another. */
export class HostedLane {
  readonly #turns: LaneTurns;

  constructor(options: HostedLaneOptions) {
    this.#turns = new LaneTurns(options);
  }

  /** Throws what a lane throws, and `limit-exceeded` when no more segments can be loaded. */
  async forward(request: ForwardRequest, signal: AbortSignal): Promise<Answered<ForwardResult>> {
    return this.#turns.onSpan(request.span, (times) => this.#pieces(request, times, signal));
  }

  /** Throws the same. */
  async loop(request: LoopRequest, options: HostedLoopOptions): Promise<Answered<LoopOutcome>> {
    const turns = this.#turns;
    const { stage } = loopOf(turns.options.manifest);
    const span = { from: stage.from, to: stage.to };
    return turns.onSpan(span, (times) => runHostedLoop(turns, span, request, options, times));
  }

  async readState(span: Span, from: number, to: number, signal: AbortSignal): Promise<Answered<TensorMap>> {
    const { lane } = this.#turns.options;
    return this.#turns.once(signal, () => lane.readState(span, from, to));
  }

  async writeState(
    span: Span,
    from: number,
    tensors: TensorMap,
    signal: AbortSignal,
  ): Promise<Answered<undefined>> {
    const { lane } = this.#turns.options;
    const { timing } = await this.#turns.once(signal, () => lane.writeState(span, from, tensors));
    return { result: undefined, timing };
  }

  async close(): Promise<void> {
    const { lane, watch } = this.#turns.options;
    // A dead runner has no state left to forget.
    await watch(lane.close()).catch(() => undefined);
  }

  /** The last piece has all rows that are picked from. */
  async #pieces(request: ForwardRequest, times: Stopwatch, signal: AbortSignal): Promise<ForwardResult> {
    const { manifest } = this.#turns.options;
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
      before.push((await this.#turns.forward(times, signal, piece)).tensors);
    }
    const last: ForwardRequest = {
      span,
      position: position + from,
      input: this.#cut(span, input, from, rows),
      want,
    };
    const result = await this.#turns.forward(times, signal, last);
    if (want.kind !== 'crossing' || before.length === 0) return result;
    const declared = crossingAtCut(manifest, span.to, 'step')?.sent ?? [];
    return { ...result, tensors: joinPieces([...before, result.tensors], declared, PREFILL_ROWS) };
  }

  #cut(span: Span, input: LaneInput, from: number, to: number): LaneInput {
    if (input.kind === 'tokens') return { kind: 'tokens', tokens: input.tokens.slice(from, to) };
    const declared = crossingAtCut(this.#turns.options.manifest, span.from, 'step')?.sent ?? [];
    const tensors = cutRows(input.tensors, declared, input.rows, from, to);
    return { kind: 'tensors', tensors, rows: to - from };
  }
}
