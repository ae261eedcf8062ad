/** State to and from a lane on the endpoint, in pieces, so that a long copy does not hold up the link. */
import type { Span } from '../../core/span.ts';
import { type TensorMap, totalBytes } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { checkPosition, checkSpan, type LoopPlace } from '../../runtime/lane-check.ts';
import type { FilledBlocks } from '../../runtime/lane-filled.ts';
import { stateRows } from '../../runtime/lane-rows.ts';
import { oneAnswer, type RemoteCalls, type Sent, type TellTimes } from './remote-calls.ts';
import { cutRange, cutState, joinState, positionStates, positionsPerPiece } from './remote-pieces.ts';

/** To be called within `RemoteCalls.send`. */
export class RemoteState {
  readonly #calls: RemoteCalls;
  readonly #place: LoopPlace;
  readonly #filled: FilledBlocks;
  readonly #tell: (span: Span) => TellTimes;

  constructor(calls: RemoteCalls, place: LoopPlace, filled: FilledBlocks, tell: (span: Span) => TellTimes) {
    this.#calls = calls;
    this.#place = place;
    this.#filled = filled;
    this.#tell = tell;
  }

  async sendRead(span: Span, from: number, to: number): Promise<Sent<TensorMap>> {
    const { stage } = this.#place;
    checkSpan(stage, span);
    checkPosition(to, this.#filled.reach(span));
    checkPosition(from, to);
    const entries = positionStates(stage, span);
    const answers: Promise<TensorMap>[] = [];
    for (const part of entries.length === 0 ? [] : cutRange(to - from, positionsPerPiece(entries))) {
      const rows = part.to - part.from;
      await this.#calls.room(0);
      const hear = oneAnswer(rows, this.#tell(span));
      const { answer } = this.#calls.call(
        { type: 'read-state', span, from: from + part.from, to: from + part.to },
        async (next, number) => {
          const { tensors } = await hear(next, number);
          const state = tensors.step ?? {};
          if (stateRows(stage.states, span, state) === rows) return state;
          throw new IsthmusError('bad-tensor', `the endpoint's state does not have ${rows} positions`);
        },
      );
      answers.push(answer);
    }
    return { answer: Promise.all(answers).then((pieces) => joinState(entries, pieces)) };
  }

  async sendWrite(span: Span, from: number, tensors: TensorMap): Promise<Sent<unknown>> {
    const { stage, contextLength } = this.#place;
    checkSpan(stage, span);
    checkPosition(from, this.#filled.reach(span));
    const entries = positionStates(stage, span);
    const rows = stateRows(stage.states, span, tensors);
    if (from + rows > contextLength) {
      throw new IsthmusError('input-too-long', `${from + rows} positions are more than ${contextLength}`);
    }
    const answers: Promise<unknown>[] = [];
    this.#filled.cut(span, from);
    for (const part of cutRange(rows, positionsPerPiece(entries))) {
      const step = cutState(entries, tensors, part);
      const bytes = totalBytes(step);
      await this.#calls.room(bytes);
      const { answer } = this.#calls.call(
        { type: 'write-state', span, from: from + part.from, tensors: { step } },
        oneAnswer(part.to - part.from, this.#tell(span)),
        { bytes },
      );
      this.#filled.set(span, from + part.to);
      answers.push(answer);
    }
    return { answer: Promise.all(answers) };
  }
}
