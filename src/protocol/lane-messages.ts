/**
 * What is said about a lane: the state of one text on the endpoint, kept between calls. `open` makes it
 * under an id that is unique on the connection; calls on it are answered in order, each under its own
 * `call` number; `cancel` (see `messages.ts`) frees it. An `error` with the id ends the lane too.
 */
import type { Sampling } from '../core/sampling.ts';
import type { Codec, PhaseTensors, Span } from '../core/span.ts';
import type { EndpointTiming } from './endpoint-timing.ts';

export interface OpenLaneMessage {
  readonly type: 'open';
  readonly id: number;
  readonly model: string;
  /** Of tensors in both directions. */
  readonly codec: Codec;
}

/** Rows through a span; see `ForwardRequest` of the runtime. */
export interface ForwardMessage {
  readonly type: 'forward';
  readonly id: number;
  readonly call: number;
  readonly span: Span;
  readonly position: number;
  readonly rows: number;
  readonly want: 'nothing' | 'crossing' | 'pick';
  /** For a span that begins the loop; else empty, and `tensors` has the `step` phase. */
  readonly tokens: readonly number[];
  readonly tensors: PhaseTensors;
  /** For `want: pick`. */
  readonly sampling?: Sampling;
  readonly answer: readonly number[];
  readonly drafts: readonly number[];
}

/** The whole loop there: answered by `tokens` (whose `step` counts from 0 in this call), then `looped`. */
export interface LoopMessage {
  readonly type: 'loop';
  readonly id: number;
  readonly call: number;
  readonly position: number;
  readonly tokens: readonly number[];
  readonly sampling: Sampling;
  readonly answer: readonly number[];
  readonly endTokens: readonly number[];
  readonly maxTokens: number;
  /**
   * Guesses that a pass may confirm, at most (and at most 32); absent: as many as pay, where that changes no token. Older
   * endpoints make none.
   */
  readonly drafts?: number;
  /** As in `StartMessage`. */
  readonly words?: true;
}

/**
 * Ends a loop at its next pass; its `looped` still comes, and the lane stays. It may pass the loop's own end
 * on its way, so it names the call, and one that is over ignores it.
 */
export interface HaltMessage {
  readonly type: 'halt';
  readonly id: number;
  readonly call: number;
}

export interface ReadStateMessage {
  readonly type: 'read-state';
  readonly id: number;
  readonly call: number;
  readonly span: Span;
  /** Positions `[from, to)`. */
  readonly from: number;
  readonly to: number;
}

export interface WriteStateMessage {
  readonly type: 'write-state';
  readonly id: number;
  readonly call: number;
  readonly span: Span;
  readonly from: number;
  /** State under the names of the step graph's inputs, in the phase `step`; always written as it is. */
  readonly tensors: PhaseTensors;
}

export type LaneClientMessage =
  | OpenLaneMessage
  | ForwardMessage
  | LoopMessage
  | HaltMessage
  | ReadStateMessage
  | WriteStateMessage;

/** Answers `forward`, `read-state` and `write-state`. */
export interface ForwardedMessage {
  readonly type: 'forwarded';
  readonly id: number;
  readonly call: number;
  readonly tokens: readonly number[];
  readonly tensors: PhaseTensors;
  readonly timing: EndpointTiming;
}

export interface LoopedMessage {
  readonly type: 'looped';
  readonly id: number;
  readonly call: number;
  readonly reason: 'end' | 'max-tokens' | 'stopped';
  readonly endToken?: number;
  /** Guesses that were run, and those that were right; absent where there were none. */
  readonly drafted?: number;
  readonly accepted?: number;
  readonly timing: EndpointTiming;
}

export type LaneServerMessage = ForwardedMessage | LoopedMessage;
