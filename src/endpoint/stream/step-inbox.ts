/**
 * Steps of one request, in order and within bounds. They may come faster than they are run: a client
 * that replays known tokens sends all their steps without waiting for answers.
 */
import { type TensorMap, totalBytes } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import { idleError } from '../idle-error.ts';
import { MAX_WAITING_STEP_BYTES, MAX_WAITING_STEPS } from '../limits.ts';

export class StepInbox {
  readonly #idleMs: number;
  readonly #waiting: TensorMap[] = [];
  #waitingBytes = 0;
  /** The first step's feeds came with the start. */
  #expected = 1;
  #taker: ((tensors: TensorMap) => void) | undefined;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  /** Throws `bad-frame` for a step out of order, `limit-exceeded` when too much waits. */
  put(step: number, tensors: TensorMap): void {
    if (step !== this.#expected) {
      throw new IsthmusError('bad-frame', `step ${step} came where step ${this.#expected} was due`, {
        details: { got: step, expected: this.#expected },
      });
    }
    this.#expected += 1;
    if (this.#taker !== undefined) {
      this.#taker(tensors);
      return;
    }
    this.#waitingBytes += totalBytes(tensors);
    this.#waiting.push(tensors);
    if (this.#waitingBytes <= MAX_WAITING_STEP_BYTES && this.#waiting.length <= MAX_WAITING_STEPS) return;
    throw new IsthmusError('limit-exceeded', 'too many steps wait for earlier ones', {
      details: { what: 'waiting steps', limit: MAX_WAITING_STEPS, bytes: MAX_WAITING_STEP_BYTES },
    });
  }

  /** The next step's feeds. Rejects with `unknown-session` after the idle time, and with the signal's reason. */
  take(signal: AbortSignal): Promise<TensorMap> {
    const ready = this.#waiting.shift();
    if (ready !== undefined) {
      this.#waitingBytes -= totalBytes(ready);
      return Promise.resolve(ready);
    }
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#taker = undefined;
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        settle();
        reject(new IsthmusError('aborted', 'the request was aborted', { cause: signal.reason }));
      };
      const timer = setTimeout(() => {
        settle();
        reject(idleError('step', this.#idleMs));
      }, this.#idleMs);
      this.#taker = (tensors) => {
        settle();
        resolve(tensors);
      };
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    });
  }
}
