/** Sends frames on one socket, and says when the client takes them too slowly. */
import type { WebSocket } from 'ws';
import { MAX_BUFFERED_BYTES } from '../limits.ts';

/** The part of a WebSocket that sending needs. */
export type OutboxSocket = Pick<
  WebSocket,
  'send' | 'bufferedAmount' | 'readyState' | 'OPEN' | 'pause' | 'resume'
>;

export class Outbox {
  readonly #socket: OutboxSocket;
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #paused = false;

  constructor(socket: OutboxSocket, limit: number = MAX_BUFFERED_BYTES) {
    this.#socket = socket;
    this.#limit = limit;
  }

  /** Queues a frame; on a socket that is closed it is dropped, as it would be a moment later. */
  send(frame: Uint8Array): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(frame, { binary: true, compress: false }, () => this.#drained());
    if (this.#paused || this.#socket.bufferedAmount <= this.#limit) return;
    // Who does not read is not read from: otherwise small questions pile up large answers.
    this.#paused = true;
    this.#socket.pause();
  }

  /** Resolves when there is room for more, or the socket is closed. */
  async room(): Promise<void> {
    while (this.#paused && this.#socket.readyState === this.#socket.OPEN) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** To be called when the socket closes: nobody must wait for ever. */
  closed(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #drained(): void {
    if (!this.#paused || this.#socket.bufferedAmount > this.#limit) return;
    this.#paused = false;
    this.#socket.resume();
    this.closed();
  }
}
