/** Answers the calls of one lane: checks them, sees that there is room for their state, runs and tells. */
import type { Phase } from '../../core/span.ts';
import { IsthmusError, throwIfAborted } from '../../errors.ts';
import { wantedDrafts } from '../../package/guesses.ts';
import type { LoopStage, Manifest } from '../../package/manifest.ts';
import type { EncodeOptions } from '../../protocol/frame.ts';
import { overLimit } from '../../protocol/json.ts';
import type {
  ForwardedMessage,
  ForwardMessage,
  LoopMessage,
  OpenLaneMessage,
  ReadStateMessage,
  WriteStateMessage,
} from '../../protocol/lane-messages.ts';
import { MAX_STATE_BYTES_PER_MESSAGE } from '../../protocol/limits.ts';
import type { ServerMessage } from '../../protocol/messages.ts';
import type { ForwardRequest, LaneInput, LoopRequest, Want } from '../../runtime/lane.ts';
import { checkForward, checkLoop, checkSpan, type LoopPlace, loopOf } from '../../runtime/lane-check.ts';
import { checkRows, checkState, isLossy } from '../check-feeds.ts';
import type { HostedLane } from '../hosted-lane.ts';
import type { LaneSeat } from '../lane-registry.ts';
import type { Metrics } from '../metrics.ts';
import { type StateBook, spanStateBytes } from '../state-bytes.ts';
import type { LaneCall } from './call-inbox.ts';
import type { WordTeller } from './word-teller.ts';

export interface LaneCallsOptions {
  readonly manifest: Manifest;
  readonly lane: HostedLane;
  readonly book: StateBook;
  readonly seat: LaneSeat;
  readonly metrics: Metrics;
  readonly open: OpenLaneMessage;
  /** For loops whose client wants words. */
  readonly teller: WordTeller;
  /** Fires when the lane has ended: nothing more is sent. */
  readonly signal: AbortSignal;
  readonly send: (message: ServerMessage, options?: EncodeOptions) => void;
  readonly room: () => Promise<void>;
}

export class LaneCalls {
  readonly #options: LaneCallsOptions;
  readonly #place: LoopPlace;

  constructor(options: LaneCallsOptions) {
    this.#options = options;
    this.#place = loopOf(options.manifest);
  }

  /** @param halt ends a loop at its next pass */
  async answer(call: LaneCall, halt: AbortSignal): Promise<void> {
    switch (call.type) {
      case 'forward':
        await this.#forward(call);
        break;
      case 'loop':
        await this.#loop(call, halt);
        break;
      case 'read-state':
        await this.#readState(call);
        break;
      case 'write-state':
        await this.#writeState(call);
        break;
    }
    this.#options.metrics.ended('lane', call.type);
  }

  async #forward(message: ForwardMessage): Promise<void> {
    const { manifest, lane, metrics, open, signal } = this.#options;
    const { call, span, position, rows } = message;
    const request = this.#request(message);
    // Whether the state stands there is the lane's own to say.
    checkForward(request, this.#place, position);
    if (request.input.kind === 'tensors') checkRows(manifest, span.from, message.tensors, { position, rows });
    this.#hold(span, position + rows);
    const { result, timing } = await lane.forward(request, signal);
    metrics.rows(rows);
    metrics.tokens(result.tokens.length);
    const tensors = message.want === 'crossing' ? { step: result.tensors } : {};
    const lossy = (phase: Phase, name: string): boolean => isLossy(manifest, span.to, phase, name);
    await this.#tell({ call, tokens: result.tokens, tensors, timing }, { codec: open.codec, lossy });
  }

  async #loop(message: LoopMessage, halt: AbortSignal): Promise<void> {
    const { manifest, lane, metrics, open, teller, signal, send, room } = this.#options;
    const { call, position, tokens, sampling, answer, endTokens, maxTokens } = message;
    const drafts = wantedDrafts(manifest, message.drafts ?? 'auto');
    const request: LoopRequest = { position, tokens, sampling, answer, endTokens, maxTokens, drafts };
    checkLoop(request, this.#place, position);
    const { stage } = this.#place;
    let step = 0;
    const { result, timing } = await lane.loop(request, {
      onPass: ({ tokens: made, rows }, lap) => {
        const words = message.words && teller.of(made);
        send({ type: 'tokens', id: open.id, step, tokens: made, ...words, ...moreRows(rows), timing: lap });
        metrics.tokens(made.length);
        // The first pass is behind all rows that came with the call, of which it may have run the last alone.
        metrics.rows(step === 0 ? Math.max(tokens.length, rows) : rows);
        step += made.length;
      },
      beforeTurn: async (positions) => {
        await room();
        this.#hold(stage, positions);
      },
      halt,
      signal,
    });
    if (step === 0) metrics.rows(tokens.length);
    metrics.worked(timing);
    await room();
    throwIfAborted(signal);
    const { drafted, accepted, ...ended } = result;
    const guessed = drafted > 0 ? { drafted, accepted } : {};
    send({ type: 'looped', id: open.id, call, ...ended, ...guessed, timing });
  }

  async #readState(message: ReadStateMessage): Promise<void> {
    const { lane, signal } = this.#options;
    const { call, span, from, to } = message;
    const { stage } = this.#place;
    checkSpan(stage, span);
    checkStateBytes(stage, message, to - from);
    const { result, timing } = await lane.readState(span, from, to, signal);
    await this.#tell({ call, tokens: [], tensors: { step: result }, timing });
  }

  async #writeState(message: WriteStateMessage): Promise<void> {
    const { lane, signal } = this.#options;
    const { call, span, from, tensors } = message;
    const { stage, contextLength } = this.#place;
    checkSpan(stage, span);
    const rows = checkState(stage, span, tensors);
    checkStateBytes(stage, message, rows);
    if (from + rows > contextLength) {
      throw new IsthmusError('input-too-long', `${from + rows} positions are more than ${contextLength}`);
    }
    this.#hold(span, from + rows);
    const { timing } = await lane.writeState(span, from, tensors.step ?? {}, signal);
    await this.#tell({ call, tokens: [], tensors: {}, timing });
  }

  #request(message: ForwardMessage): ForwardRequest {
    const { span, position, rows, tokens, tensors, answer, drafts, sampling } = message;
    if (tokens.length > 0 && Object.keys(tensors).length > 0) {
      throw new IsthmusError('bad-tensor', 'rows are tokens or tensors, not both');
    }
    const input: LaneInput =
      tokens.length > 0 ? { kind: 'tokens', tokens } : { kind: 'tensors', tensors: tensors.step ?? {}, rows };
    const want: Want =
      message.want === 'pick' && sampling !== undefined
        ? { kind: 'pick', pick: { sampling, answer, drafts } }
        : { kind: message.want === 'crossing' ? 'crossing' : 'nothing' };
    return { span, position, input, want };
  }

  /** Throws `limit-exceeded` when there is no room for so much state. */
  #hold(span: { readonly from: number; readonly to: number }, positions: number): void {
    const { book, seat } = this.#options;
    seat.hold(book.reach(span, Math.min(positions, this.#place.contextLength)));
  }

  async #tell(
    answer: Pick<ForwardedMessage, 'call' | 'tokens' | 'tensors' | 'timing'>,
    encode: EncodeOptions = {},
  ): Promise<void> {
    const { open, metrics, signal, send, room } = this.#options;
    metrics.worked(answer.timing);
    await room();
    throwIfAborted(signal);
    send({ type: 'forwarded', id: open.id, ...answer }, encode);
  }
}

/** One is what a step has, and goes without saying. What came with the call is known to the client, guesses behind it are not. */
function moreRows(rows: number): { readonly rows?: number } {
  return rows > 1 ? { rows } : {};
}

function checkStateBytes(
  stage: LoopStage,
  { span }: { readonly span: ReadStateMessage['span'] },
  rows: number,
): void {
  const bytes = spanStateBytes(stage, span, rows);
  if (bytes <= MAX_STATE_BYTES_PER_MESSAGE) return;
  throw overLimit('bytes of state in a message', bytes, MAX_STATE_BYTES_PER_MESSAGE);
}
