/** A client of the stream for tests: says exactly what it is told to and keeps all it hears. */
import { WebSocket } from 'ws';
import { decodeServerMessage, encodeClientMessage } from '../../src/protocol/frame.ts';
import type { ClientMessage, ServerMessage, StartMessage } from '../../src/protocol/messages.ts';

export type MessageOf<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;

export class StreamClient {
  readonly socket: WebSocket;
  readonly #heard: ServerMessage[] = [];
  #wake: () => void = () => undefined;
  /** The code that the socket closed with. */
  readonly closed: Promise<number>;

  constructor(url: string) {
    this.socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v2/stream`, { perMessageDeflate: false });
    this.socket.on('message', (data: Buffer) => {
      this.#heard.push(decodeServerMessage(data));
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code) => {
        resolve(code);
        this.#wake();
      });
    });
    this.socket.on('error', () => undefined);
  }

  /** Connected, and `hello` taken off. */
  static async connect(url: string): Promise<StreamClient> {
    const client = new StreamClient(url);
    await client.next('hello');
    return client;
  }

  send(message: ClientMessage): void {
    this.socket.send(encodeClientMessage(message));
  }

  start(message: Partial<StartMessage> & Pick<StartMessage, 'id' | 'model' | 'span' | 'tensors'>): void {
    this.send({ type: 'start', codec: 'fp32', maxTokens: 20, prefix: [], ...message });
  }

  /** The next message, whatever it is; rejects when the socket closed instead. */
  async any(): Promise<ServerMessage> {
    for (;;) {
      const first = this.#heard.shift();
      if (first !== undefined) return first;
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error('the socket closed');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The next message, which must be of that type. */
  async next<T extends ServerMessage['type']>(type: T): Promise<MessageOf<T>> {
    const message = await this.any();
    if (message.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(message)}`);
    return message as MessageOf<T>;
  }

  /** Tokens until `done`. */
  async tokens(): Promise<{ tokens: number[]; done: MessageOf<'done'> }> {
    const tokens: number[] = [];
    for (;;) {
      const message = await this.any();
      if (message.type === 'done') return { tokens, done: message };
      if (message.type !== 'tokens' || message.step !== tokens.length) {
        throw new Error(`unexpected ${JSON.stringify(message)}`);
      }
      tokens.push(...message.tokens);
    }
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }
}
