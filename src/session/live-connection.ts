/** One connection that said hello: its requests, and who gets which message. */
import { type ErrorCode, fromWireError, IsthmusError, toIsthmusError, type WireError } from '../errors.ts';
import type { EndpointLoad } from '../protocol/endpoint-load.ts';
import { decodeServerMessage, type EncodeOptions, encodeClientMessage } from '../protocol/frame.ts';
import { type ClientMessage, PROTOCOL_VERSION, type ServerMessage } from '../protocol/messages.ts';
import type { FrameConnection, Traffic } from '../transport/transport.ts';
import { MessageQueue } from './message-queue.ts';

/** One exchange under an id of its own. */
export interface Exchanged {
  readonly queue: MessageQueue;
  readonly traffic: Traffic;
  send(message: ClientMessage, options?: EncodeOptions): void;
  /** Nothing more is expected. False when that was said before, or the connection is gone. */
  forget(): boolean;
}

interface Entry {
  readonly queue: MessageQueue;
  traffic: Traffic;
}

const NO_TRAFFIC: Traffic = { framesUp: 0, bytesUp: 0, framesDown: 0, bytesDown: 0 };

export class LiveConnection {
  readonly #connection: FrameConnection;
  readonly #entries = new Map<number, Entry>();
  readonly #hello: MessageQueue;
  readonly #onLoad: (load: EndpointLoad) => void;

  /**
   * @param signal ends the wait for the hello
   * @param onClose called once; everything that was open has failed by then
   * @param onLoad called with what a hello or a pong tells of the endpoint
   */
  constructor(
    connection: FrameConnection,
    signal: AbortSignal,
    onClose: () => void,
    onLoad: (load: EndpointLoad) => void = () => undefined,
  ) {
    this.#connection = connection;
    this.#onLoad = onLoad;
    this.#hello = new MessageQueue(signal);
    connection.onClose((error) => {
      const lost = error ?? new IsthmusError('endpoint-lost', 'the endpoint closed the connection');
      this.#fail(toIsthmusError(lost, 'endpoint-lost'));
      onClose();
    });
    connection.onFrame((frame) => this.#deliver(frame));
  }

  /** Throws `wrong-version`, `unknown-model`, and what ended the wait. */
  async hello(model: string): Promise<void> {
    const first = await this.#hello.next();
    if (first.type !== 'hello' || first.protocol !== PROTOCOL_VERSION) {
      throw new IsthmusError(
        'wrong-version',
        `the endpoint speaks another protocol than version ${PROTOCOL_VERSION}`,
      );
    }
    if (!first.models.includes(model)) {
      throw new IsthmusError('unknown-model', `the endpoint does not serve '${model}'`, {
        details: { models: first.models },
      });
    }
  }

  /** Messages with this id are for whoever opened it. */
  open(id: number, signal: AbortSignal | undefined): Exchanged {
    const entry: Entry = { queue: new MessageQueue(signal), traffic: NO_TRAFFIC };
    this.#entries.set(id, entry);
    return {
      queue: entry.queue,
      get traffic() {
        return entry.traffic;
      },
      send: (message, options) => {
        const frame = encodeClientMessage(message, options);
        this.#send(frame);
        entry.traffic = sum(entry.traffic, { framesUp: 1, bytesUp: frame.byteLength });
      },
      forget: () => {
        entry.queue.dispose();
        return this.#entries.delete(id);
      },
    };
  }

  close(error: IsthmusError): void {
    this.#fail(error);
    this.#connection.close();
  }

  /** A connection that takes no frame is of no use, whether or not it has been told yet that it is closed. */
  #send(frame: Uint8Array): void {
    try {
      this.#connection.send(frame);
    } catch (error) {
      this.close(toIsthmusError(error, 'endpoint-lost'));
      throw error;
    }
  }

  #fail(error: IsthmusError): void {
    this.#hello.fail(error);
    for (const { queue } of this.#entries.values()) queue.fail(error);
    this.#entries.clear();
  }

  #deliver(frame: Uint8Array): void {
    let message: ServerMessage;
    try {
      message = decodeServerMessage(frame);
    } catch (error) {
      // Who sends what cannot be read cannot be trusted with the rest; closing also frees its state.
      this.close(toIsthmusError(error, 'bad-frame'));
      return;
    }
    if ((message.type === 'hello' || message.type === 'pong') && message.load !== undefined) {
      this.#onLoad(message.load);
    }
    if (message.type === 'hello') {
      this.#hello.push(message);
      return;
    }
    const entry = this.#entries.get(message.id);
    if (entry !== undefined) {
      entry.traffic = sum(entry.traffic, { framesDown: 1, bytesDown: frame.byteLength });
    }
    if (message.type !== 'error') entry?.queue.push(message);
    else if (message.id === -1) this.close(endpointError(message.error));
    else entry?.queue.fail(endpointError(message.error));
  }
}

/** Codes that mean something else there than here: its worker is not ours, nor is its abort. */
const OF_ITS_OWN: readonly ErrorCode[] = [
  'aborted',
  'closed',
  'no-plan',
  'no-provider',
  'storage-failed',
  'weights-missing',
  'worker-lost',
];

function endpointError(wire: WireError): IsthmusError {
  const error = fromWireError(wire, 'endpoint-failed');
  if (!OF_ITS_OWN.includes(error.code)) return error;
  return new IsthmusError('endpoint-failed', `the endpoint failed: ${error.message}`, {
    details: { ...error.details, code: error.code },
    cause: error,
  });
}

function sum(traffic: Traffic, more: Partial<Traffic>): Traffic {
  return {
    framesUp: traffic.framesUp + (more.framesUp ?? 0),
    bytesUp: traffic.bytesUp + (more.bytesUp ?? 0),
    framesDown: traffic.framesDown + (more.framesDown ?? 0),
    bytesDown: traffic.bytesDown + (more.bytesDown ?? 0),
  };
}
