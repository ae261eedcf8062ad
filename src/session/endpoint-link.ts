/** The session's connection to its endpoint: opened when needed, shared, replaced when it breaks. */
import type { Clock } from '../core/clock.ts';
import { fromWireError, IsthmusError, isIsthmusError, toIsthmusError } from '../errors.ts';
import type { EndpointState } from '../planner/types.ts';
import { decodeServerMessage, type EncodeOptions, encodeClientMessage } from '../protocol/frame.ts';
import type { ClientMessage, ServerMessage, StartMessage } from '../protocol/messages.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';
import { type CountingConnection, countFrames, type Traffic } from '../transport/counting.ts';
import type { Connect, ConnectOptions } from '../transport/transport.ts';
import { MessageQueue } from './message-queue.ts';

/** Ms to wait for a pong. Slow links answer within seconds; a dead one must not hold a probe for ever. */
const PING_TIMEOUT_MS = 5_000;

export interface EndpointLinkOptions {
  readonly connect: Connect;
  readonly clock: Clock;
  readonly model: string;
  readonly onState: (state: EndpointState) => void;
}

/** One request under way. */
export interface EndpointRequest {
  /** The next message of this request; rejects with the error that ended it. */
  next(): Promise<ServerMessage>;
  send(message: Exclude<ClientMessage, StartMessage>, options?: EncodeOptions): void;
  /** Tells the endpoint to drop the request; harmless when it is over. */
  cancel(): void;
  /** Frames and bytes since the request began. */
  traffic(): Traffic;
  readonly id: number;
}

interface Live {
  readonly connection: CountingConnection;
  readonly queues: Map<number, MessageQueue>;
}

export class EndpointLink {
  readonly #options: EndpointLinkOptions;
  #state: EndpointState = 'unknown';
  #opening: Promise<Live> | undefined;
  #nextId = 1;
  #closed = false;

  constructor(options: EndpointLinkOptions) {
    this.#options = options;
  }

  get state(): EndpointState {
    return this.#state;
  }

  /** Opens the connection, or joins the attempt under way. Throws `endpoint-lost`, `unknown-model`, `wrong-version`. */
  async ready(options: ConnectOptions = {}): Promise<void> {
    await this.#live(options);
  }

  /** Begins a request. The `start` frame is queued before this returns. */
  async start(
    message: Omit<StartMessage, 'type' | 'id' | 'model'>,
    encode: EncodeOptions,
    signal: AbortSignal | undefined,
  ): Promise<EndpointRequest> {
    const live = await this.#live(signal === undefined ? {} : { signal });
    const id = this.#nextId;
    this.#nextId += 1;
    const queue = new MessageQueue(signal);
    live.queues.set(id, queue);
    const before = live.connection.traffic;
    live.connection.send(
      encodeClientMessage({ type: 'start', id, model: this.#options.model, ...message }, encode),
    );
    return {
      id,
      next: () => queue.next(),
      send: (step, stepEncode) => live.connection.send(encodeClientMessage(step, stepEncode)),
      cancel: () => {
        if (!live.queues.delete(id) || queue.isOver) return;
        try {
          live.connection.send(encodeClientMessage({ type: 'cancel', id }));
        } catch {
          // The connection is gone, and the request with it.
        }
      },
      traffic: () => difference(live.connection.traffic, before),
    };
  }

  /** Round trip of a ping with padding, in ms. Throws `endpoint-lost`. */
  async ping(replyBytes: number, padding: Uint8Array): Promise<number> {
    const live = await this.#live({});
    const id = this.#nextId;
    this.#nextId += 1;
    const queue = new MessageQueue(AbortSignal.timeout(PING_TIMEOUT_MS));
    live.queues.set(id, queue);
    const started = this.#options.clock.now();
    try {
      live.connection.send(encodeClientMessage({ type: 'ping', id, replyBytes, padding }));
      await queue.next();
      return this.#options.clock.now() - started;
    } finally {
      live.queues.delete(id);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const live = await this.#opening?.catch(() => undefined);
    live?.connection.close();
  }

  #live(options: ConnectOptions): Promise<Live> {
    if (this.#closed) return Promise.reject(new IsthmusError('closed', 'the session was closed'));
    this.#opening ??= this.#open(options);
    return this.#opening;
  }

  async #open(options: ConnectOptions): Promise<Live> {
    try {
      const live = await this.#handshake(options);
      this.#setState('up');
      return live;
    } catch (error) {
      this.#opening = undefined;
      // An abort by the caller says nothing about the endpoint.
      if (!isIsthmusError(error) || error.code !== 'aborted') this.#setState('down');
      throw error;
    }
  }

  async #handshake(options: ConnectOptions): Promise<Live> {
    const { clock, connect, model } = this.#options;
    const connection = countFrames(await connect(options), { clock });
    const queues = new Map<number, MessageQueue>();
    const hello = new MessageQueue(options.signal);
    const fail = (error: IsthmusError): void => {
      hello.fail(error);
      for (const queue of queues.values()) queue.fail(error);
      queues.clear();
    };
    connection.onClose((error) => {
      this.#opening = undefined;
      if (!this.#closed) this.#setState('down');
      fail(
        toIsthmusError(
          error ?? new IsthmusError('endpoint-lost', 'the endpoint closed the connection'),
          'endpoint-lost',
        ),
      );
    });
    connection.onFrame((frame) => deliver(frame, hello, queues, fail));
    const first = await hello.next();
    if (first.type !== 'hello' || first.protocol !== PROTOCOL_VERSION) {
      connection.close();
      throw new IsthmusError(
        'wrong-version',
        `the endpoint speaks another protocol than version ${PROTOCOL_VERSION}`,
      );
    }
    if (!first.models.includes(model)) {
      connection.close();
      throw new IsthmusError('unknown-model', `the endpoint does not serve '${model}'`, {
        details: { models: first.models },
      });
    }
    return { connection, queues };
  }

  #setState(state: EndpointState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }
}

function deliver(
  frame: Uint8Array,
  hello: MessageQueue,
  queues: Map<number, MessageQueue>,
  fail: (error: IsthmusError) => void,
): void {
  let message: ServerMessage;
  try {
    message = decodeServerMessage(frame);
  } catch (error) {
    fail(toIsthmusError(error, 'bad-frame'));
    return;
  }
  if (message.type === 'hello') hello.push(message);
  else if (message.type !== 'error') queues.get(message.id)?.push(message);
  else if (message.id === -1) fail(fromWireError(message.error, 'endpoint-failed'));
  else queues.get(message.id)?.fail(fromWireError(message.error, 'endpoint-failed'));
}

function difference(now: Traffic, before: Traffic): Traffic {
  return {
    framesUp: now.framesUp - before.framesUp,
    bytesUp: now.bytesUp - before.bytesUp,
    framesDown: now.framesDown - before.framesDown,
    bytesDown: now.bytesDown - before.bytesDown,
  };
}
