/** Two ends joined without a network: for tests, and for an endpoint in the same process. */
import { IsthmusError } from '../errors.ts';
import { Inbox } from './inbox.ts';
import type { FrameConnection } from './transport.ts';

export interface MemoryConnection extends FrameConnection {
  /** What this end has sent so far. */
  readonly sent: { readonly frames: number; readonly bytes: number };
  /** Breaks the link for both ends with `endpoint-lost`; frames not yet delivered are lost. */
  break(cause?: unknown): void;
}

/**
 * Frames and the end arrive in microtasks, in order. The receiver gets a copy, as it would over a
 * network, so neither end can see what the other does to its buffers.
 */
export function memoryPair(): [MemoryConnection, MemoryConnection] {
  const left = new Inbox();
  const right = new Inbox();
  return [memoryEnd(left, right), memoryEnd(right, left)];
}

function memoryEnd(own: Inbox, peer: Inbox): MemoryConnection {
  let frames = 0;
  let bytes = 0;
  return {
    buffered: 0,
    get sent() {
      return { frames, bytes };
    },
    send(frame) {
      if (own.ended) throw new IsthmusError('endpoint-lost', 'the connection is closed');
      frames += 1;
      bytes += frame.byteLength;
      // `slice` of a Node Buffer would be a view; this is a copy for every kind.
      const copy = new Uint8Array(frame);
      try {
        peer.push(copy);
      } catch (cause) {
        breakBoth(own, peer, cause);
      }
    },
    onFrame: (handler) => own.onFrame(handler),
    onClose: (handler) => own.onClose(handler),
    close() {
      own.end(undefined, { discard: true });
      peer.end(undefined);
    },
    break: (cause) => breakBoth(own, peer, cause),
  };
}

function breakBoth(own: Inbox, peer: Inbox, cause: unknown): void {
  const error = new IsthmusError('endpoint-lost', 'the link broke', cause === undefined ? {} : { cause });
  own.end(error, { discard: true });
  peer.end(error, { discard: true });
}
