/** One client on a stream: its frames in, its requests, and answers out. Bad input ends no more than it must. */
import type { RawData, WebSocket } from 'ws';
import { IsthmusError, toIsthmusError, toWireError } from '../../errors.ts';
import { idOf } from '../../protocol/common-fields.ts';
import { splitFrame } from '../../protocol/envelope.ts';
import { decodeClientMessage, type EncodeOptions, encodeServerMessage } from '../../protocol/frame.ts';
import { isLaneMessage } from '../../protocol/lane-client-fields.ts';
import type { LaneClientMessage, OpenLaneMessage } from '../../protocol/lane-messages.ts';
import {
  MAX_LANES_PER_CONNECTION,
  MAX_SESSIONS_PER_CONNECTION,
  MAX_TEXTS_PER_CONNECTION,
} from '../../protocol/limits.ts';
import {
  type ClientMessage,
  type EncodeMessage,
  PROTOCOL_VERSION,
  type ServerMessage,
  type StartMessage,
} from '../../protocol/messages.ts';
import type { Service } from '../service.ts';
import { Outbox } from './outbox.ts';
import { StreamLane } from './stream-lane.ts';
import { StreamRequest } from './stream-request.ts';

/** The id of messages about the connection itself. */
const CONNECTION = -1;

export class StreamConnection {
  readonly #service: Service;
  readonly #outbox: Outbox;
  readonly #requests = new Map<number, StreamRequest>();
  readonly #lanes = new Map<number, StreamLane>();
  /** Ids of texts that are being cut into tokens. */
  readonly #texts = new Set<number>();

  constructor(socket: WebSocket, service: Service) {
    this.#service = service;
    this.#outbox = new Outbox(socket);
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    // The socket closes itself with 1002, 1007 or 1009 after such an error; unheard it would end the process.
    socket.on('error', (error) => service.log(`a stream failed: ${error.message}`));
    socket.on('close', () => this.#closed());
    this.#send({
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      models: [...service.hosts.keys()],
      load: service.load(),
    });
  }

  #receive(data: RawData, isBinary: boolean): void {
    const frame = bytesOf(data);
    this.#service.metrics.received(frame.byteLength);
    let message: ClientMessage;
    try {
      if (!isBinary)
        throw new IsthmusError('bad-frame', 'a text frame came where only binary ones are taken');
      message = decodeClientMessage(frame);
    } catch (error) {
      this.#refuse(isBinary ? claimedId(frame) : CONNECTION, toIsthmusError(error));
      return;
    }
    try {
      this.#handle(message);
    } catch (error) {
      this.#refuse(message.id, toIsthmusError(error));
    }
  }

  #handle(message: ClientMessage): void {
    if (isLaneMessage(message)) {
      this.#handleLane(message);
      return;
    }
    const request = this.#requests.get(message.id);
    switch (message.type) {
      case 'start':
        this.#start(message);
        return;
      case 'step':
        if (request === undefined) {
          throw new IsthmusError('unknown-session', `no request ${message.id} is open on this connection`);
        }
        request.step(message);
        return;
      case 'cancel':
        request?.cancel();
        this.#lanes.get(message.id)?.cancel();
        return;
      case 'encode':
        this.#encode(message);
        return;
      case 'ping':
        this.#send({
          type: 'pong',
          id: message.id,
          padding: new Uint8Array(message.replyBytes),
          load: this.#service.load(),
        });
    }
  }

  #encode({ id, model, text, special }: EncodeMessage): void {
    this.#checkNew(id, 'texts', this.#texts.size, MAX_TEXTS_PER_CONNECTION);
    const encoding = this.#service.wordsOf(model).encode(text, special);
    this.#texts.add(id);
    encoding
      .then((tokens) => this.#send({ type: 'encoded', id, tokens }))
      .catch((error: unknown) => this.#refuse(id, toIsthmusError(error)))
      .finally(() => this.#texts.delete(id));
  }

  #handleLane(message: LaneClientMessage): void {
    if (message.type === 'open') {
      this.#open(message);
      return;
    }
    const lane = this.#lanes.get(message.id);
    // A halt may cross the lane's end on its way.
    if (message.type === 'halt') lane?.halt(message.call);
    else if (lane !== undefined) lane.put(message);
    else throw new IsthmusError('unknown-session', `no lane ${message.id} is open on this connection`);
  }

  #open(open: OpenLaneMessage): void {
    const { id } = open;
    this.#checkNew(id, 'lanes', this.#lanes.size, MAX_LANES_PER_CONNECTION);
    const lane = new StreamLane({
      service: this.#service,
      open,
      send: (message, options) => this.#send(message, options),
      room: () => this.#outbox.room(),
      onEnd: () => this.#lanes.delete(id),
    });
    this.#lanes.set(id, lane);
  }

  #checkNew(id: number, what: 'requests' | 'lanes' | 'texts', open: number, limit: number): void {
    if (this.#requests.has(id) || this.#lanes.has(id) || this.#texts.has(id)) {
      throw new IsthmusError('bad-frame', `the id ${id} is in use; what has it was ended too`);
    }
    if (open < limit) return;
    throw new IsthmusError('limit-exceeded', `${limit} ${what} are open on this connection`, {
      details: { what: `${what} of a connection`, limit },
    });
  }

  #start(start: StartMessage): void {
    const { id } = start;
    this.#checkNew(id, 'requests', this.#requests.size, MAX_SESSIONS_PER_CONNECTION);
    const request = new StreamRequest({
      service: this.#service,
      start,
      send: (message, options) => this.#send(message, options),
      room: () => this.#outbox.room(),
      onEnd: () => this.#requests.delete(id),
    });
    this.#requests.set(id, request);
  }

  /**
   * An error ends the request or lane that has its id, at both ends: a client cannot tell whether it was
   * meant for the whole or for one frame of it.
   */
  #refuse(id: number, error: IsthmusError): void {
    const request = this.#requests.get(id) ?? this.#lanes.get(id);
    if (request !== undefined) {
      request.fail(error);
      return;
    }
    this.#service.metrics.error(error.code);
    this.#send({ type: 'error', id, error: toWireError(error) });
  }

  #send(message: ServerMessage, options?: EncodeOptions): void {
    const frame = encodeServerMessage(message, options);
    this.#service.metrics.sent(frame.byteLength);
    this.#outbox.send(frame);
  }

  #closed(): void {
    this.#outbox.closed();
    for (const request of [...this.#requests.values(), ...this.#lanes.values()]) request.cancel();
  }
}

function bytesOf(data: RawData): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return Array.isArray(data) ? Buffer.concat(data) : data;
}

/** The request that a frame which cannot be read as a whole says it belongs to. */
function claimedId(frame: Uint8Array): number {
  try {
    return idOf(splitFrame(frame).header);
  } catch {
    return CONNECTION;
  }
}
