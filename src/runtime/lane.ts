/**
 * A lane holds the state (KV cache) of one text in one place, for any of the loop's blocks, and runs rows
 * of it. Both ends of a link have the same interface: the device's lane runs beside its runtime, the
 * endpoint's answers over the wire. Which spans run where is the caller's affair; a lane keeps, for each
 * block, how many positions its state holds.
 */
import type { WantedDrafts } from '../core/draft/proposer.ts';
import type { Sampling } from '../core/sampling.ts';
import type { Span } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';

/** Token ids for a span that begins the loop, else the `step` tensors that crossed at its near cut. */
export type LaneInput =
  | { readonly kind: 'tokens'; readonly tokens: readonly number[] }
  | { readonly kind: 'tensors'; readonly tensors: TensorMap; readonly rows: number };

/** How tokens are taken from the scores at the end of the model. */
export interface Pick {
  readonly sampling: Sampling;
  /**
   * Tokens of the answer up to and with the one in the first row that is picked from; what penalties
   * look at.
   */
  readonly answer: readonly number[];
  /**
   * Tokens that the last rows of the input carry as proposals: with `m` of them the last `m + 1` rows are
   * picked from, one after the other, until a pick differs from the proposal in the row behind it.
   */
  readonly drafts: readonly number[];
}

export type Want =
  /** Only fills the state. */
  | { readonly kind: 'nothing' }
  /** What crosses at the span's far cut, all rows. The span ends before the model does. */
  | { readonly kind: 'crossing' }
  /** Tokens; the span reaches the model's end. */
  | { readonly kind: 'pick'; readonly pick: Pick }
  /** Scores of the last `rows` rows, `[rows, vocabulary]`; for verification and perplexity. */
  | { readonly kind: 'scores'; readonly rows: number };

export interface ForwardRequest {
  /** Inside the loop stage. */
  readonly span: Span;
  /**
   * Position of the input's first row. At most what the state of the span's blocks holds; what it holds
   * beyond is dropped (rewind).
   */
  readonly position: number;
  readonly input: LaneInput;
  readonly want: Want;
}

export interface ForwardResult {
  /** `want: pick`: one more than the accepted drafts. */
  readonly tokens: readonly number[];
  /** `want: crossing`. */
  readonly tensors: TensorMap;
  /** `want: scores`. */
  readonly scores?: Float32Array;
  /** Inside the runtime. */
  readonly ms: number;
}

/** A whole token loop in one place: no message per pass but its tokens. */
export interface LoopRequest {
  /** Position of the first of `tokens`. */
  readonly position: number;
  /** Rows to run before the first pick; at least one. */
  readonly tokens: readonly number[];
  readonly sampling: Sampling;
  /** Tokens of the answer so far, the last of them the last of `tokens` when there is one. */
  readonly answer: readonly number[];
  readonly endTokens: readonly number[];
  /** New tokens at most. */
  readonly maxTokens: number;
  /** Guesses that a pass may confirm (see `LoopDrafts`), by `wantedDrafts`. Default 0. */
  readonly drafts?: WantedDrafts;
}

/** For those who take turns beside the runtime. */
export interface TurnRequest extends LoopRequest {
  /** Ends the loop as `stopped` behind so many passes. */
  readonly maxPasses?: number;
}

/** One run of a loop through the model. */
export interface LoopPass {
  /** What it brought, in order: one more than its guesses that were right, up to the answer's end. */
  readonly tokens: readonly number[];
  /** Rows that it ran; 0 where that and `ms` are not known. */
  readonly rows: number;
  /** Inside the runtime. */
  readonly ms: number;
}

export interface LoopOptions {
  /** Told of each pass that brought tokens. */
  readonly onPass: (pass: LoopPass) => void;
  /** Ends the loop before its next pass. */
  readonly signal?: AbortSignal;
}

export interface LoopResult {
  /** New tokens; the end token is not among them. The state holds all of them but the last one. */
  readonly tokens: readonly number[];
  /** `stopped`: the signal fired, or the passes are made; state and tokens up to then are kept. */
  readonly reason: 'end' | 'max-tokens' | 'stopped';
  readonly endToken?: number;
  readonly ms: number;
  /** Guesses that were run, and those of them that were right. */
  readonly drafted: number;
  readonly accepted: number;
}

export interface Lane {
  /** Whether what it holds is gone for good, with a connection, say: every call would fail. Absent: a call tells. */
  readonly isOver?: boolean;
  /**
   * Runs rows through a span. Calls run one after another. Throws `bad-option` for a position beyond the
   * state or a span outside the loop, `input-too-long` beyond the model's context, `bad-tensor`,
   * `run-failed`, `unknown-session`, `endpoint-lost`, `worker-lost`, `closed`, `aborted` (before it began).
   */
  forward(request: ForwardRequest, options?: { readonly signal?: AbortSignal }): Promise<ForwardResult>;
  /** The loop over all blocks of the model; see `LoopRequest`. */
  loop(request: LoopRequest, options: LoopOptions): Promise<LoopResult>;
  /** Positions that every block of the span holds. */
  filled(span: Span): number;
  /**
   * A copy of the state of `span` from position `from` to `to`, by the names of the step graph's state
   * inputs. Throws `unsupported-model` where the state is not made of positions.
   */
  readState(span: Span, from: number, to: number): Promise<TensorMap>;
  /** Puts a copy of such state in place; the span then holds `from` + its rows. */
  writeState(span: Span, from: number, tensors: TensorMap): Promise<void>;
  /** Frees the state. Safe to call twice. */
  close(): Promise<void>;
}
