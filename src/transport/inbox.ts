/**
 * The receiving half of a `FrameConnection`: frames wait for a handler, arrive in order in a microtask,
 * and the end comes after them. Every implementation delivers through this one, so they agree on what
 * happens when frames come before a handler does or together with the end.
 */
import { IsthmusError } from '../errors.ts';
import { MAX_FRAME_BYTES } from '../protocol/limits.ts';

/**
 * Frames without a handler are held until there is one, which is within the same turn for every user
 * that behaves; beyond one whole frame the other side is filling our memory.
 */
export const MAX_UNREAD_BYTES = MAX_FRAME_BYTES;

type CloseHandler = (error: Error | undefined) => void;

export class Inbox {
  #frames: Uint8Array[] = [];
  #unread = 0;
  #onFrame: ((frame: Uint8Array) => void) | undefined;
  #onClose: CloseHandler[] = [];
  #end: { readonly error: Error | undefined } | undefined;
  #scheduled = false;

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Frames after the end are dropped. Throws `limit-exceeded` when nobody reads. */
  push(frame: Uint8Array): void {
    if (this.ended) return;
    if (this.#onFrame === undefined) {
      this.#unread += frame.byteLength;
      if (this.#unread > MAX_UNREAD_BYTES) {
        throw new IsthmusError('limit-exceeded', `nobody reads: over ${MAX_UNREAD_BYTES} bytes are waiting`);
      }
    }
    this.#frames.push(frame);
    this.#schedule();
  }

  /** The first end counts. `discard` drops frames that have not been delivered. */
  end(error: Error | undefined, options: { readonly discard?: boolean } = {}): void {
    if (this.ended) return;
    this.#end = { error };
    if (options.discard === true) this.#frames = [];
    this.#schedule();
  }

  onFrame(handler: (frame: Uint8Array) => void): void {
    this.#onFrame = handler;
    this.#schedule();
  }

  /** A handler set after the end is told of it too. */
  onClose(handler: CloseHandler): void {
    this.#onClose.push(handler);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#drain());
  }

  #drain(): void {
    this.#scheduled = false;
    try {
      while (this.#onFrame !== undefined) {
        const frame = this.#frames.shift();
        if (frame === undefined) break;
        this.#onFrame(frame);
      }
      if (this.#end === undefined) return;
      // Frames that no one asked for by now will never be asked for: whoever waits must hear of the end.
      this.#frames = [];
      for (let handler = this.#onClose.shift(); handler; handler = this.#onClose.shift()) {
        handler(this.#end.error);
      }
    } finally {
      // A handler that throws must not keep the frames behind its own from being delivered.
      if (this.#frames.length > 0 && this.#onFrame !== undefined) this.#schedule();
      if (this.#end !== undefined && this.#onClose.length > 0) this.#schedule();
    }
  }
}
