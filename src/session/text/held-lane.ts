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
  /** What was left running, and up to where it counts. */
  #left: { ended: Promise<void>; limit: number } | undefined;

  constructor(lane: Lane, blocks: number) {
    this.lane = lane;
    this.#filled = Array.from({ length: blocks }, () => 0);
  }

  /** Positions that every block of the span holds of the present text. */
  filled({ from, to }: Span): number {
    return Math.min(this.#left?.limit ?? Infinity, ...this.#filled.slice(from, to));
  }

  /** A loop that nobody hears any more goes on to its end; later calls wait for that. What it made from `position` on counts not. */
  leave(position: number, loop: Promise<unknown>): void {
    const left = { ended: Promise.resolve(), limit: position };
    const end = (): void => {
      this.#left = undefined;
      this.rewind(left.limit);
    };
    left.ended = loop.then(end, end);
    this.#left = left;
  }

  /** The text is another from `position` on: what is held beyond it counts no more. */
  rewind(position: number): void {
    if (this.#left !== undefined) this.#left.limit = Math.min(this.#left.limit, position);
    for (const [block, held] of this.#filled.entries()) this.#filled[block] = Math.min(held, position);
  }

  async forward(request: ForwardRequest, options: Options = {}): Promise<ForwardResult> {
    await this.#left?.ended;
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
    await this.#left?.ended;
    const all = { from: 0, to: this.#filled.length };
    this.#set(all, request.position);
    const result = await this.#watched(this.lane.loop(request, options));
    // Without a pick nothing is known to have run; the last pick is never in the state.
    if (result.tokens.length > 0) {
      this.#set(all, request.position + request.tokens.length + result.tokens.length - 1);
    }
    return result;
  }

  async readState(span: Span, from: number, to: number): Promise<TensorMap> {
    await this.#left?.ended;
    return this.#watched(this.lane.readState(span, from, to));
  }

  async writeState(span: Span, from: number, rows: number, tensors: TensorMap): Promise<void> {
    await this.#left?.ended;
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
