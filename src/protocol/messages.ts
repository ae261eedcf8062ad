/**
 * What is said over a WebSocket session, as one discriminated union per direction. On the wire each
 * message is one binary frame: a 4-byte little-endian header length, a JSON header in the form of
 * an Open Inference Protocol request or response, then the raw tensors (see `frame.ts`).
 */
import type { LexiconPart } from '../core/lexicon.ts';
import type { Codec, PhaseTensors, Span } from '../core/span.ts';
import type { WireError } from '../errors.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import type { EndpointTiming } from './endpoint-timing.ts';
import type { LaneClientMessage, LaneServerMessage } from './lane-messages.ts';

export type { EndpointTiming } from './endpoint-timing.ts';

/** 2 brought lanes, 3 recordings in 16 bits. */
export const PROTOCOL_VERSION = 3;

/**
 * Opens request `id` on the endpoint: run blocks `[span.from, span.to)` on what crosses at
 * `span.from`. When the span reaches the model's end and the loop's start lies in it or at its
 * start, the endpoint runs the whole loop and streams `tokens`. When it starts inside a loop stage,
 * `init` and the first `step` ride in this message and later ones follow as `step`.
 */
export interface StartMessage {
  readonly type: 'start';
  /** Chosen by the client, unique on its connection. */
  readonly id: number;
  readonly model: string;
  readonly span: Span;
  readonly tensors: PhaseTensors;
  /** Of `tensors`, and wanted for tensors that come back. */
  readonly codec: Codec;
  /** Of the whole answer, `prefix` included. */
  readonly maxTokens: number;
  /** Tokens already known, replayed before going on: how a lost endpoint's work is taken over. */
  readonly prefix: readonly number[];
  /** Wanted with `tokens`: what they read like. An endpoint that does not know it says nothing of them. */
  readonly words?: true;
}

export interface StepMessage {
  readonly type: 'step';
  readonly id: number;
  /** 0-based index of the token that this step yields. */
  readonly step: number;
  readonly tensors: PhaseTensors;
}

/** Drops the request or lane and its state; also after `done` it is harmless. */
export interface CancelMessage {
  readonly type: 'cancel';
  readonly id: number;
}

export interface PingMessage {
  readonly type: 'ping';
  readonly id: number;
  /** Bytes to send back, for a bandwidth probe; bounded by `MAX_PROBE_BYTES`. */
  readonly replyBytes: number;
  /** Bytes of padding sent up with the ping. */
  readonly padding: Uint8Array;
}

/**
 * A text to be cut into tokens, for who has no tokenizer yet: answered by `encoded`. An endpoint that does not know it
 * answers `error`, and may be asked over HTTP (`words-messages.ts`).
 */
export interface EncodeMessage {
  readonly type: 'encode';
  readonly id: number;
  readonly model: string;
  /** UTF-16 units: 1 to `MAX_FAR_TEXT`. */
  readonly text: string;
  /** Whether the tokenizer's special tokens are put round it. */
  readonly special: boolean;
}

export type ClientMessage =
  | StartMessage
  | StepMessage
  | CancelMessage
  | PingMessage
  | EncodeMessage
  | LaneClientMessage;

export interface HelloMessage {
  readonly type: 'hello';
  readonly protocol: number;
  readonly models: readonly string[];
  /** Of the models that it is told for. */
  readonly load?: EndpointLoad;
}

export interface TokensMessage {
  readonly type: 'tokens';
  readonly id: number;
  /** Index of the first of `tokens` in the generated sequence; of a lane's loop, in that call. */
  readonly step: number;
  readonly tokens: readonly number[];
  /** Of those of them that were not told before in this request or lane; what they are read by comes with the first. */
  readonly words?: LexiconPart;
  /** Of a lane's loop: rows of the pass that made them, guesses included. Absent: one. */
  readonly rows?: number;
  /** Since the answer before. */
  readonly timing: EndpointTiming;
  /** The same by segment and phase, as in `DoneMessage`; a lane's loop has one segment, and leaves it out. */
  readonly segments?: Readonly<Record<string, number>>;
}

/** A span that ends before the model's end: what crosses there. */
export interface OutputMessage {
  readonly type: 'output';
  readonly id: number;
  readonly step: number;
  readonly tensors: PhaseTensors;
  readonly timing: EndpointTiming;
  /** As in `TokensMessage`. */
  readonly segments?: Readonly<Record<string, number>>;
}

export interface DoneMessage {
  readonly type: 'done';
  readonly id: number;
  readonly reason: 'eos' | 'max-tokens' | 'cancelled' | 'output';
  /** Totals of the whole request. */
  readonly timing: EndpointTiming;
  /** Runtime ms by segment and phase, e.g. `{"0:0-7:once": 12.5}`. */
  readonly segments: Readonly<Record<string, number>>;
}

export interface ErrorMessage {
  readonly type: 'error';
  /** -1 when the fault belongs to the connection and not to a request. */
  readonly id: number;
  readonly error: WireError;
}

export interface PongMessage {
  readonly type: 'pong';
  readonly id: number;
  readonly padding: Uint8Array;
  readonly load?: EndpointLoad;
}

export interface EncodedMessage {
  readonly type: 'encoded';
  readonly id: number;
  readonly tokens: readonly number[];
}

export type ServerMessage =
  | HelloMessage
  | TokensMessage
  | OutputMessage
  | DoneMessage
  | ErrorMessage
  | PongMessage
  | EncodedMessage
  | LaneServerMessage;
