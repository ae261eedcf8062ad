/** Messages of one request, handed out one at a time; ends with an error or an abort. */
import { IsthmusError } from '../errors.ts';
import type { ServerMessage } from '../protocol/messages.ts';

interface Waiter {
  readonly resolve: (message: ServerMessage) => void;
  readonly reject: (error: IsthmusError) => void;
}

export class MessageQueue {
  readonly #messages: ServerMessage[] = [];
  #waiter: Waiter | undefined;
  #error: IsthmusError | undefined;
  #over = false;

  constructor(signal: AbortSignal | undefined) {
    const abort = (): void => {
      const timedOut = signal?.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
      const error = timedOut
        ? new IsthmusError('endpoint-lost', 'the endpoint did not answer in time')
        : new IsthmusError('aborted', 'the work was aborted', { cause: signal?.reason });
      this.fail(error);
    };
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  }

  /** True once `done` was delivered or the queue failed. */
  get isOver(): boolean {
    return this.#over;
  }

  push(message: ServerMessage): void {
    if (message.type === 'done') this.#over = true;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter === undefined) this.#messages.push(message);
    else waiter.resolve(message);
  }

  /** Messages that came before the failure are still handed out first. */
  fail(error: IsthmusError): void {
    this.#error ??= error;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.reject(this.#error);
    if (error.code !== 'aborted') this.#over = true;
  }

  next(): Promise<ServerMessage> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }
}
