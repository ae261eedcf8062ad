/** Rows that the endpoint runs for a lane: in pieces that fit its messages, all sent before the first is answered. */
import type { Codec, Phase, Span } from '../../core/span.ts';
import { totalBytes } from '../../core/tensor.ts';
import { IsthmusError, throwIfAborted } from '../../errors.ts';
import type { CrossingTensor, Manifest } from '../../package/manifest.ts';
import { crossingAtCut } from '../../package/segments.ts';
import type { EncodeOptions } from '../../protocol/frame.ts';
import type { ForwardedMessage } from '../../protocol/lane-messages.ts';
import type { ForwardRequest, ForwardResult } from '../../runtime/lane.ts';
import { checkForward, type LoopPlace, rowsOf } from '../../runtime/lane-check.ts';
import type { FilledBlocks } from '../../runtime/lane-filled.ts';
import { joinPieces } from '../../runtime/lane-rows.ts';
import { oneAnswer, type RemoteCalls, type Sent, type TellTimes, type UnsentCall } from './remote-calls.ts';
import { cutInput, cutRange, rowsPerPiece } from './remote-pieces.ts';

/** What crosses, and as what. */
export interface CrossingOptions {
  readonly manifest: Manifest;
  readonly codec: Codec;
}

export class RemoteForward {
  readonly #calls: RemoteCalls;
  readonly #place: LoopPlace;
  readonly #filled: FilledBlocks;
  readonly #options: CrossingOptions;
  readonly #tell: (span: Span) => TellTimes;

  /** @param filled what the state holds once all that was sent has run */
  constructor(
    calls: RemoteCalls,
    place: LoopPlace,
    filled: FilledBlocks,
    options: CrossingOptions,
    tell: (span: Span) => TellTimes,
  ) {
    this.#calls = calls;
    this.#place = place;
    this.#filled = filled;
    this.#options = options;
    this.#tell = tell;
  }

  /** Sends them; the answer is of all pieces. An abort ends the wait until there is room for the next. */
  async send(request: ForwardRequest, signal: AbortSignal | undefined): Promise<Sent<ForwardResult>> {
    const { span, position, input, want } = request;
    if (want.kind === 'scores') {
      throw new IsthmusError('bad-option', 'scores are too large to leave the endpoint');
    }
    checkForward(request, this.#place, this.#filled.reach(span));
    const rows = rowsOf(input);
    const drafts = want.kind === 'pick' ? want.pick.drafts : [];
    const { near, far } = this.#crossings(span);
    const size = rowsPerPiece(input, rows, want.kind === 'crossing' ? far : []);
    const parts = cutRange(rows, size, drafts.length + 1);
    const answers: Promise<ForwardedMessage>[] = [];
    for (const part of parts) {
      const isLast = part.to === rows;
      const piece = cutInput(input, near, part);
      const tensors = piece.kind === 'tensors' ? piece.tensors : {};
      const bytes = totalBytes(tensors);
      await this.#calls.room(bytes);
      throwIfAborted(signal);
      const message: UnsentCall = {
        type: 'forward',
        span,
        position: position + part.from,
        rows: part.to - part.from,
        want: want.kind === 'pick' && !isLast ? 'nothing' : want.kind,
        tokens: piece.kind === 'tokens' ? piece.tokens : [],
        tensors: piece.kind === 'tensors' ? { step: tensors } : {},
        ...(want.kind === 'pick' && isLast ? { sampling: want.pick.sampling } : {}),
        answer: want.kind === 'pick' && isLast ? want.pick.answer : [],
        drafts: isLast ? drafts : [],
      };
      const receive = oneAnswer(part.to - part.from, this.#tell(span));
      const isUncertain = isLast && drafts.length > 0;
      const encode = { codec: this.#options.codec, lossy: lossyOf(near) };
      const { answer } = this.#calls.call(message, receive, {
        bytes,
        isUncertain,
        bringsNothing: message.want === 'nothing',
        encode,
      });
      // Of the rows of proposals at least none is confirmed.
      this.#filled.set(span, position + part.to - (isLast ? drafts.length : 0));
      answers.push(answer);
    }
    return { answer: this.#joined(request, size, answers) };
  }

  async #joined(
    { span, position, input, want }: ForwardRequest,
    pieceRows: number,
    answers: readonly Promise<ForwardedMessage>[],
  ): Promise<ForwardResult> {
    const parts = await Promise.all(answers);
    const ms = parts.reduce((sum, { timing }) => sum + timing.computeMs, 0);
    if (want.kind === 'crossing') {
      const pieces = parts.map(({ tensors }) => tensors.step ?? {});
      return { tokens: [], tensors: joinPieces(pieces, this.#crossings(span).far, pieceRows), ms };
    }
    const tokens = parts.at(-1)?.tokens ?? [];
    if (want.kind !== 'pick') return { tokens: [], tensors: {}, ms };
    const { drafts } = want.pick;
    if (drafts.length > 0)
      this.#filled.set(span, position + rowsOf(input) - drafts.length + tokens.length - 1);
    return { tokens, tensors: {}, ms };
  }

  #crossings(span: Span): {
    readonly near: readonly CrossingTensor[];
    readonly far: readonly CrossingTensor[];
  } {
    const sent = (cut: number) => crossingAtCut(this.#options.manifest, cut, 'step')?.sent ?? [];
    return { near: sent(span.from), far: sent(span.to) };
  }
}

function lossyOf(near: readonly CrossingTensor[]): NonNullable<EncodeOptions['lossy']> {
  return (_: Phase, name: string) => near.some((tensor) => tensor.name === name && tensor.lossy);
}
