/** Calls of one lane that wait for earlier ones, in order and within bounds: clients do not wait for answers. */
import { totalBytes } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type {
  ForwardMessage,
  LoopMessage,
  ReadStateMessage,
  WriteStateMessage,
} from '../../protocol/lane-messages.ts';
import { MAX_CALL_BYTES_IN_FLIGHT, MAX_CALLS_IN_FLIGHT } from '../../protocol/limits.ts';

export type LaneCall = ForwardMessage | LoopMessage | ReadStateMessage | WriteStateMessage;

export class CallInbox {
  readonly #waiting: LaneCall[] = [];
  #bytes = 0;
  #last = -1;

  /** Throws `bad-frame` for a number that is not above all before it, `limit-exceeded` when too much waits. */
  put(call: LaneCall): void {
    if (call.call <= this.#last) {
      throw new IsthmusError('bad-frame', `call ${call.call} came after call ${this.#last}`, {
        details: { got: call.call, last: this.#last },
      });
    }
    this.#last = call.call;
    this.#waiting.push(call);
    this.#bytes += bytesOf(call);
    // The first one does not wait.
    const isOver = this.#bytes > MAX_CALL_BYTES_IN_FLIGHT && this.#waiting.length > 1;
    if (!isOver && this.#waiting.length <= MAX_CALLS_IN_FLIGHT) return;
    throw new IsthmusError('limit-exceeded', 'too many calls wait for earlier ones', {
      details: { what: 'waiting calls', limit: MAX_CALLS_IN_FLIGHT, bytes: MAX_CALL_BYTES_IN_FLIGHT },
    });
  }

  take(): LaneCall | undefined {
    const call = this.#waiting.shift();
    if (call !== undefined) this.#bytes -= bytesOf(call);
    return call;
  }

  clear(): void {
    this.#waiting.length = 0;
    this.#bytes = 0;
  }
}

function bytesOf(call: LaneCall): number {
  return 'tensors' in call ? totalBytes(call.tensors.step ?? {}) : 0;
}
