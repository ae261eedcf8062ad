/** Messages of one request, handed out one at a time; ends with an error or an abort. */
import { IsthmusError } from '../errors.ts';
import type { ServerMessage } from '../protocol/messages.ts';

interface Waiter {
  readonly resolve: (message: ServerMessage) => void;
  readonly reject: (error: IsthmusError) => void;
}

export class MessageQueue {
  #messages: ServerMessage[] = [];
  #waiter: Waiter | undefined;
  #error: IsthmusError | undefined;
  #over = false;
  /** Takes the listener off a signal that may live longer than many requests. */
  #forgetSignal: () => void = () => undefined;

  constructor(signal: AbortSignal | undefined) {
    if (signal === undefined) return;
    const abort = (): void => {
      const timedOut = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
      const error = timedOut
        ? new IsthmusError('endpoint-lost', 'the endpoint did not answer in time')
        : new IsthmusError('aborted', 'the work was aborted', { cause: signal.reason });
      this.fail(error);
    };
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    this.#forgetSignal = () => signal.removeEventListener('abort', abort);
  }

  /** True once the other side has ended the request: nothing is left to cancel there. */
  get isOver(): boolean {
    return this.#over;
  }

  push(message: ServerMessage): void {
    if (this.#error !== undefined) return;
    if (message.type === 'done') {
      this.#over = true;
      this.#forgetSignal();
    }
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter === undefined) this.#messages.push(message);
    else waiter.resolve(message);
  }

  /**
   * Messages that came before the failure are still handed out first: they are paid for. After an abort
   * or a close nobody wants them.
   */
  fail(error: IsthmusError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#forgetSignal();
    const isUnwanted = error.code === 'aborted' || error.code === 'closed';
    if (isUnwanted) this.#messages = [];
    if (error.code !== 'aborted') this.#over = true;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.reject(error);
  }

  next(): Promise<ServerMessage> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** Nothing more is asked for. */
  dispose(): void {
    this.#forgetSignal();
    this.#messages = [];
  }
}
