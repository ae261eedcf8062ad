/**
 * A lane on the endpoint. Calls are checked here first, as a lane beside its runtime would, because there an error
 * ends the lane. What the endpoint dropped (idle, stopped, crashed) shows at the next call.
 */
import type { Codec, Span } from '../../core/span.ts';
import type { TensorMap } from '../../core/tensor.ts';
import { IsthmusError, isIsthmusError } from '../../errors.ts';
import type { Manifest } from '../../package/manifest.ts';
import { MAX_TOKENS_PER_REQUEST } from '../../protocol/limits.ts';
import type { EndpointTiming } from '../../protocol/messages.ts';
import type {
  ForwardRequest,
  ForwardResult,
  Lane,
  LoopOptions,
  LoopRequest,
  LoopResult,
} from '../../runtime/lane.ts';
import { checkLoop, type LoopPlace, loopOf } from '../../runtime/lane-check.ts';
import { FilledBlocks } from '../../runtime/lane-filled.ts';
import type { EndpointLink } from '../endpoint-link.ts';
import type { EndpointRequest } from '../endpoint-request.ts';
import { orAborted } from '../waiting.ts';
import { RemoteCalls, type SentCall, type TellTimes, type UnsentCall } from './remote-calls.ts';
import { RemoteForward } from './remote-forward.ts';
import { type HeardLoop, receiveLoop } from './remote-loop.ts';
import { RemoteState } from './remote-state.ts';

/** One answer of the endpoint: a forward (or piece of one), a pass of a loop, or state. */
export interface CallTiming {
  readonly kind: 'forward' | 'pass' | 'state';
  readonly span: Span;
  /** Rows that were run, or positions of state. */
  readonly rows: number;
  /** Of the endpoint. */
  readonly timing: EndpointTiming;
  /** From the call, or the answer before this one where that came later, to this answer. */
  readonly totalMs: number;
}

export interface RemoteLaneOptions {
  readonly manifest: Manifest;
  /** Of tensors that cross. State is always written as it is. */
  readonly codec: Codec;
  readonly onTiming?: (timing: CallTiming) => void;
  /** Ends the wait for the connection. */
  readonly signal?: AbortSignal;
}

/** All that passed for this lane; a loop is one round trip, and rows that only fill the state are none. */
export interface LaneTraffic {
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly roundTrips: number;
}

export interface RemoteLane extends Lane {
  traffic(): LaneTraffic;
}

type Signal = { readonly signal?: AbortSignal | undefined };

/** Throws `unsupported-model`, and what opening the connection throws. */
export async function openRemoteLane(link: EndpointLink, options: RemoteLaneOptions): Promise<RemoteLane> {
  const place = loopOf(options.manifest);
  const request = await link.openLane(options.codec, options.signal);
  return new WireLane(link, request, place, options);
}

class WireLane implements RemoteLane {
  readonly #link: EndpointLink;
  readonly #request: EndpointRequest;
  readonly #place: LoopPlace;
  readonly #options: RemoteLaneOptions;
  readonly #calls: RemoteCalls;
  /** What the state holds once all that was sent has run. */
  readonly #filled: FilledBlocks;
  readonly #state: RemoteState;
  readonly #rows: RemoteForward;
  /** Ms of the last answer. */
  #heard = 0;

  constructor(link: EndpointLink, request: EndpointRequest, place: LoopPlace, options: RemoteLaneOptions) {
    this.#link = link;
    this.#request = request;
    this.#place = place;
    this.#options = options;
    this.#filled = FilledBlocks.ofStage(place.stage);
    this.#calls = new RemoteCalls(request, () => this.#filled.take([]));
    const tell = (span: Span): TellTimes => this.#timed('state', span);
    this.#state = new RemoteState(this.#calls, place, this.#filled, tell);
    this.#rows = new RemoteForward(this.#calls, place, this.#filled, options, (span) =>
      this.#timed('forward', span),
    );
  }

  /** An abort after it began drops the answer; what is held from `position` on is then not known. */
  async forward(request: ForwardRequest, { signal }: Signal = {}): Promise<ForwardResult> {
    const sent = this.#calls.send(() => this.#rows.send(request, signal), signal);
    const answer = sent.then((call) => call.answer);
    try {
      return await orAborted(answer, signal);
    } catch (error) {
      if (signal?.aborted)
        sent.then(() => this.#filled.cut(request.span, request.position)).catch(() => undefined);
      throw error;
    }
  }

  async loop(request: LoopRequest, { signal, onPass }: LoopOptions): Promise<LoopResult> {
    let sent: SentCall<HeardLoop>;
    try {
      sent = await this.#calls.send(() => this.#sendLoop(request, onPass), signal);
    } catch (error) {
      if (!(signal?.aborted && isIsthmusError(error) && error.code === 'aborted')) throw error;
      return { tokens: [], reason: 'stopped', ms: 0, drafted: 0, accepted: 0 };
    }
    const halt = (): void => this.#calls.halt(sent.number);
    if (signal?.aborted) halt();
    else signal?.addEventListener('abort', halt, { once: true });
    try {
      const { result, thrown } = await sent.answer;
      if (thrown !== undefined) throw thrown.error;
      return result;
    } finally {
      signal?.removeEventListener('abort', halt);
    }
  }

  get isOver(): boolean {
    return this.#calls.isOver || this.#request.isOver;
  }

  filled(span: Span): number {
    return this.#filled.of(span);
  }

  traffic(): LaneTraffic {
    const { bytesUp, bytesDown } = this.#request.traffic();
    return { bytesUp, bytesDown, roundTrips: this.#calls.trips };
  }

  async readState(span: Span, from: number, to: number): Promise<TensorMap> {
    const { answer } = await this.#calls.send(() => this.#state.sendRead(span, from, to));
    return answer;
  }

  async writeState(span: Span, from: number, tensors: TensorMap): Promise<void> {
    const { answer } = await this.#calls.send(() => this.#state.sendWrite(span, from, tensors));
    await answer;
  }

  async close(): Promise<void> {
    // Calls that are not answered yet fail with this too.
    this.#calls.close(new IsthmusError('closed', 'the lane was closed'));
  }

  #sendLoop(request: LoopRequest, onPass: LoopOptions['onPass']): SentCall<HeardLoop> {
    const { stage, contextLength } = this.#place;
    checkLoop(request, this.#place, this.#filled.reach(stage));
    const { position, tokens, sampling, answer, endTokens, drafts = 0 } = request;
    const room = contextLength - position - tokens.length;
    const maxTokens = Math.min(request.maxTokens, room, MAX_TOKENS_PER_REQUEST);
    const loop = { type: 'loop', position, tokens, sampling, answer, endTokens, maxTokens } as const;
    const most = drafts === 'auto' ? {} : { drafts };
    const message: UnsentCall = { ...loop, ...most, ...this.#link.wantedWords() };
    const tell = this.#timed('pass', stage);
    const sent = this.#calls.call(
      message,
      async (next, number) => {
        const heard = await receiveLoop(
          next,
          number,
          { ...request, maxTokens },
          {
            onPass: (pass) => {
              if (!this.#calls.isOver) onPass(pass);
            },
            onTiming: tell,
            halt: () => this.#calls.halt(number),
            vocabulary: stage.vocabulary,
          },
        );
        if (heard.filled !== undefined) this.#filled.set(stage, heard.filled);
        return heard;
      },
      { isUncertain: true },
    );
    this.#filled.cut(stage, position);
    return sent;
  }

  #timed(kind: CallTiming['kind'], span: Span): TellTimes {
    const sent = this.#link.now();
    return (rows, timing) => {
      const now = this.#link.now();
      const totalMs = now - Math.max(sent, this.#heard);
      this.#heard = now;
      this.#options.onTiming?.({ kind, span, rows, timing, totalMs });
    };
  }
}
