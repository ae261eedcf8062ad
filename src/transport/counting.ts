/** Counts what passes a connection: what requests report, and what the link is measured by. */
import type { Clock } from '../core/clock.ts';
import type { FrameConnection } from './transport.ts';

export interface Traffic {
  readonly framesUp: number;
  readonly bytesUp: number;
  readonly framesDown: number;
  readonly bytesDown: number;
}

/** One frame as it passed. */
export interface TrafficEvent {
  /** `up` is what this end sends. */
  readonly direction: 'up' | 'down';
  /** Of the frame, its header included. */
  readonly bytes: number;
  /** Ms of the clock: when it was handed to the socket, or from it to the handler. */
  readonly at: number;
  /** Bytes that were waiting at this end when the frame was sent, its own not included; 0 for `down`. */
  readonly queued: number;
}

export interface CountingConnection extends FrameConnection {
  /** Totals so far. Subtract two to have those of a piece of work. */
  readonly traffic: Traffic;
}

export interface CountOptions {
  readonly clock: Clock;
  /** Called before the frame's own handler, so that an estimate is up to date when that one runs. */
  readonly onTraffic?: (event: TrafficEvent) => void;
}

export function countFrames(
  connection: FrameConnection,
  { clock, onTraffic }: CountOptions,
): CountingConnection {
  let traffic: Traffic = { framesUp: 0, bytesUp: 0, framesDown: 0, bytesDown: 0 };
  return {
    get traffic() {
      return traffic;
    },
    get buffered() {
      return connection.buffered;
    },
    send(frame) {
      const queued = connection.buffered;
      const at = clock.now();
      // A frame that could not be sent is not counted: this throws.
      connection.send(frame);
      const { framesUp, bytesUp } = traffic;
      traffic = { ...traffic, framesUp: framesUp + 1, bytesUp: bytesUp + frame.byteLength };
      onTraffic?.({ direction: 'up', bytes: frame.byteLength, at, queued });
    },
    onFrame(handler) {
      connection.onFrame((frame) => {
        const { framesDown, bytesDown } = traffic;
        traffic = { ...traffic, framesDown: framesDown + 1, bytesDown: bytesDown + frame.byteLength };
        onTraffic?.({ direction: 'down', bytes: frame.byteLength, at: clock.now(), queued: 0 });
        handler(frame);
      });
    },
    onClose: (handler) => connection.onClose(handler),
    close: () => connection.close(),
  };
}
