/** A lane with a book of how many positions of the present text each of its blocks holds. */
import type { Span } from '../../core/span.ts';
import type { TensorMap } from '../../core/tensor.ts';
import { InTurn } from '../../runtime/in-turn.ts';
import type {
  ForwardRequest,
  ForwardResult,
  Lane,
  LoopOptions,
  LoopRequest,
  LoopResult,
} from '../../runtime/lane.ts';
import { KeptRows } from './kept-rows.ts';

type Options = { readonly signal?: AbortSignal };

export class HeldLane {
  readonly lane: Lane;
  /** Of the model. */
  readonly blocks: number;
  /** What runs at this place beside texts takes turns: what is timed there is not timed with another's call in it. */
  readonly beside: InTurn;
  /** Rows on their way through it. */
  readonly kept = new KeptRows();
  /** Calls that it has answered. */
  #answers = 0;
  readonly #thrown = new WeakSet<WeakKey>();
  /** Of what has answered, the calls under way not counted. */
  readonly #filled: number[];
  /** Up to where calls under way count, each as it is. */
  readonly #underWay = new Set<{ limit: number }>();
  /** What was left running, and up to where it counts. */
  #left: { ended: Promise<void>; limit: number } | undefined;

  constructor(lane: Lane, blocks: number, beside = new InTurn()) {
    this.lane = lane;
    this.blocks = blocks;
    this.beside = beside;
    this.#filled = Array.from({ length: blocks }, () => 0);
  }

  get answers(): number {
    return this.#answers;
  }

  get isOver(): boolean {
    return this.lane.isOver === true;
  }

  /** Whether a call of this lane failed with it: tells whose failure it was. */
  hasThrown(error: unknown): boolean {
    return isObject(error) && this.#thrown.has(error);
  }

  /** Positions that every block of the span holds of the present text. */
  filled({ from, to }: Span): number {
    return Math.min(this.#left?.limit ?? Infinity, ...this.#filled.slice(from, to));
  }

  /** Positions that a block of the span holds on the mean. */
  filledOnMean({ from, to }: Span): number {
    const limit = this.#left?.limit ?? Infinity;
    const held = this.#filled.slice(from, to).map((positions) => Math.min(positions, limit));
    return held.reduce((sum, positions) => sum + positions, 0) / Math.max(1, held.length);
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
    this.kept.rewind(position);
    for (const call of this.#underWay) call.limit = Math.min(call.limit, position);
    if (this.#left !== undefined) this.#left.limit = Math.min(this.#left.limit, position);
    for (const [block, held] of this.#filled.entries()) this.#filled[block] = Math.min(held, position);
  }

  /** May be called before an earlier call of the same span has answered, whose rows these stand on. */
  async forward(request: ForwardRequest, options: Options = {}): Promise<ForwardResult> {
    await this.#left?.ended;
    const { span, position, input } = request;
    const rows = input.kind === 'tokens' ? input.tokens.length : input.rows;
    return this.#rows(span, position, rows, () => this.lane.forward(request, options));
  }

  async loop(request: LoopRequest, options: LoopOptions): Promise<LoopResult> {
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
    await this.#rows(span, from, rows, () => this.lane.writeState(span, from, tensors));
  }

  close(): Promise<void> {
    return this.lane.close();
  }

  /** Until it is done, and for good when it fails, what lies beyond `position` is in doubt. */
  async #rows<T>(span: Span, position: number, rows: number, work: () => Promise<T>): Promise<T> {
    const call = { limit: position + rows };
    this.#underWay.add(call);
    this.#cut(span, position);
    try {
      const result = await this.#watched(work());
      // Rows whose beginning was lost meanwhile stand on nothing.
      if (call.limit >= position) this.#raise(span, position, call.limit);
      return result;
    } finally {
      this.#underWay.delete(call);
    }
  }

  async #watched<T>(work: Promise<T>): Promise<T> {
    try {
      const answer = await work;
      this.#answers += 1;
      return answer;
    } catch (error) {
      if (isObject(error)) this.#thrown.add(error);
      throw error;
    }
  }

  #cut({ from, to }: Span, position: number): void {
    for (let block = from; block < to; block += 1) {
      this.#filled[block] = Math.min(this.#filled[block] ?? 0, position);
    }
  }

  #raise({ from, to }: Span, held: number, position: number): void {
    for (let block = from; block < to; block += 1) {
      if ((this.#filled[block] ?? 0) >= held) this.#filled[block] = position;
    }
  }

  #set({ from, to }: Span, position: number): void {
    this.#filled.fill(position, from, to);
  }
}

function isObject(error: unknown): error is WeakKey {
  return typeof error === 'object' && error !== null;
}
