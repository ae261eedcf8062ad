/** A lane in the worker: what crosses the threads is rows and tokens, never scores. */
import type { Span } from '../../core/span.ts';
import type { TensorMap } from '../../core/tensor.ts';
import { throwIfAborted } from '../../errors.ts';
import type {
  ForwardRequest,
  ForwardResult,
  LoopOptions,
  LoopResult,
  TurnRequest,
} from '../../runtime/lane.ts';
import type { PlacedLane } from '../lane-runner.ts';
import type { CallWorker } from './call-worker.ts';
import { compact } from './compact.ts';
import type { LaneId } from './messages.ts';

export class RemotePlacedLane implements PlacedLane {
  readonly #id: LaneId;
  readonly #call: CallWorker;

  constructor(id: LaneId, call: CallWorker) {
    this.#id = id;
    this.#call = call;
  }

  async forward(
    request: ForwardRequest,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<ForwardResult> {
    throwIfAborted(options.signal);
    const { input } = request;
    if (input.kind === 'tokens') return this.#call('forward', { lane: this.#id, request }, options);
    const { tensors, transfer } = compact(input.tensors);
    const argument = { lane: this.#id, request: { ...request, input: { ...input, tensors } } };
    return this.#call('forward', argument, { ...options, transfer });
  }

  loop(request: TurnRequest, options: LoopOptions): Promise<LoopResult> {
    return this.#call('loop', { lane: this.#id, request }, options);
  }

  readState(span: Span, from: number, to: number): Promise<TensorMap> {
    return this.#call('readState', { lane: this.#id, span, from, to });
  }

  async writeState(span: Span, from: number, given: TensorMap): Promise<void> {
    const { tensors, transfer } = compact(given);
    await this.#call('writeState', { lane: this.#id, span, from, tensors }, { transfer });
  }

  async close(): Promise<void> {
    await this.#call('closeLane', this.#id);
  }
}
