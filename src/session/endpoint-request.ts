/** One request or lane on a connection: what is said in it, and its end. */
import { IsthmusError } from '../errors.ts';
import type { EncodeOptions } from '../protocol/frame.ts';
import type { OpenLaneMessage } from '../protocol/lane-messages.ts';
import type { ClientMessage, ServerMessage, StartMessage } from '../protocol/messages.ts';
import type { Traffic } from '../transport/transport.ts';
import type { Exchanged } from './live-connection.ts';

/** One request under way, or one lane. */
export interface EndpointRequest {
  /** The next message of this request; rejects with the error that ended it, `closed` after a cancel. */
  next(): Promise<ServerMessage>;
  send(message: Exclude<ClientMessage, StartMessage>, options?: EncodeOptions): void;
  /** Tells the endpoint to drop the request; harmless when it is over. */
  cancel(): void;
  /** Frames and bytes of this request alone. */
  traffic(): Traffic;
  /** The other side has ended it, or the connection is gone. */
  readonly isOver: boolean;
  readonly id: number;
}

/** Sends its first message. @param next the next message that comes for it */
export function beginRequest(
  exchanged: Exchanged,
  first: StartMessage | OpenLaneMessage,
  encode: EncodeOptions | undefined,
  next: () => Promise<ServerMessage>,
): EndpointRequest {
  const { id } = first;
  const { queue } = exchanged;
  try {
    exchanged.send(first, encode);
  } catch (error) {
    exchanged.forget();
    throw error;
  }
  return {
    id,
    next,
    send: (message, options) => exchanged.send(message, options),
    traffic: () => exchanged.traffic,
    get isOver() {
      return queue.isOver;
    },
    cancel: () => {
      const { isOver } = queue;
      // Whoever still waits for a message must not wait for ever.
      queue.fail(new IsthmusError('closed', 'it was cancelled'));
      if (!exchanged.forget() || isOver) return;
      try {
        exchanged.send({ type: 'cancel', id });
      } catch {
        // The connection is gone, and the request with it.
      }
    },
  };
}
