/** A lane with a book of how many positions of the present text each of its blocks holds. */
import type { Span } from '../../core/span.ts';
import type { TensorMap } from '../../core/tensor.ts';
import type { ForwardRequest, ForwardResult, Lane, LoopRequest, LoopResult } from '../../runtime/lane.ts';

type Options = { readonly signal?: AbortSignal };

export class HeldLane {
  readonly lane: Lane;
  /** What the last call that failed threw: tells whose failure it was. */
  failure: unknown;
  readonly #filled: number[];

  constructor(lane: Lane, blocks: number) {
    this.lane = lane;
    this.#filled = Array.from({ length: blocks }, () => 0);
  }

  /** Positions that every block of the span holds of the present text. */
  filled({ from, to }: Span): number {
    return Math.min(...this.#filled.slice(from, to));
  }

  /** The text is another from `position` on: what is held beyond it counts no more. */
  rewind(position: number): void {
    for (const [block, held] of this.#filled.entries()) this.#filled[block] = Math.min(held, position);
  }

  async forward(request: ForwardRequest, options: Options = {}): Promise<ForwardResult> {
    const { span, position, input } = request;
    const rows = input.kind === 'tokens' ? input.tokens.length : input.rows;
    // Until it is done, and for good when it fails, what lies beyond is in doubt.
    this.#set(span, position);
    const result = await this.#watched(this.lane.forward(request, options));
    this.#set(span, position + rows);
    return result;
  }

  async loop(
    request: LoopRequest,
    options: Options & { readonly onToken: (token: number) => void },
  ): Promise<LoopResult> {
    const all = { from: 0, to: this.#filled.length };
    this.#set(all, request.position);
    const result = await this.#watched(this.lane.loop(request, options));
    // Without a pick nothing is known to have run; the last pick is never in the state.
    if (result.tokens.length > 0) {
      this.#set(all, request.position + request.tokens.length + result.tokens.length - 1);
    }
    return result;
  }

  readState(span: Span, from: number, to: number): Promise<TensorMap> {
    return this.#watched(this.lane.readState(span, from, to));
  }

  async writeState(span: Span, from: number, rows: number, tensors: TensorMap): Promise<void> {
    this.#set(span, from);
    await this.#watched(this.lane.writeState(span, from, tensors));
    this.#set(span, from + rows);
  }

  close(): Promise<void> {
    return this.lane.close();
  }

  async #watched<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  #set({ from, to }: Span, position: number): void {
    this.#filled.fill(position, from, to);
  }
}
