import { describe, expect, test, vi } from 'vitest';
import { MAX_FRAME_BYTES } from '../../src/protocol/limits.ts';
import {
  connectWebSocket,
  type SocketEvent,
  type WebSocketConstructor,
  type WebSocketLike,
  webSocketConnection,
} from '../../src/transport/websocket.ts';
import { closed, codeOf, receive } from '../contracts/frame-connection.ts';

/** A socket whose events the test makes up: for what a real one does rarely. */
class ScriptedSocket implements WebSocketLike {
  binaryType = 'blob';
  readyState = 1;
  bufferedAmount = 0;
  readonly closes: unknown[][] = [];
  readonly #listeners: [string, (event: SocketEvent) => void][] = [];
  send(): void {
    throw new Error('the buffer is full');
  }
  close(...args: unknown[]): void {
    this.closes.push(args);
    if (args[0] !== undefined && args[0] !== 1000) throw new Error('InvalidAccessError');
  }
  addEventListener(type: string, listener: (event: SocketEvent) => void): void {
    this.#listeners.push([type, listener]);
  }
  emit(type: string, event: Omit<SocketEvent, 'type'>): void {
    for (const [own, listener] of this.#listeners) if (own === type) listener({ type, ...event });
  }
}

describe('an odd socket', () => {
  test('a frame over the bound ends the connection', async () => {
    const socket = new ScriptedSocket();
    const connection = webSocketConnection(socket);
    const got: Uint8Array[] = [];
    connection.onFrame((frame) => got.push(frame));
    socket.emit('message', { data: new ArrayBuffer(MAX_FRAME_BYTES + 1) });
    expect(await closed(connection)).toMatchObject({ code: 'endpoint-lost' });
    expect(got).toEqual([]);
  });

  test('one that allows no close codes, as in browsers, is closed without', async () => {
    const socket = new ScriptedSocket();
    const connection = webSocketConnection(socket);
    socket.emit('message', { data: 'text' });
    expect(await closed(connection)).toMatchObject({ code: 'endpoint-lost' });
    expect(socket.closes).toEqual([[1003, 'the other side sent a text'], []]);
  });

  test('frames that nobody reads end the connection', async () => {
    const socket = new ScriptedSocket();
    const connection = webSocketConnection(socket);
    const half = new ArrayBuffer(MAX_FRAME_BYTES / 2);
    for (let i = 0; i < 3; i++) socket.emit('message', { data: half });
    const error = await closed(connection);
    expect(error).toMatchObject({ code: 'endpoint-lost', cause: { code: 'limit-exceeded' } });
  });

  test('asks for array buffers and takes views too', async () => {
    const socket = new ScriptedSocket();
    const connection = webSocketConnection(socket);
    expect(socket.binaryType).toBe('arraybuffer');
    const arrived = receive(connection, 2);
    socket.emit('message', { data: Uint8Array.of(1, 2, 3).subarray(1) });
    socket.emit('message', { data: Uint8Array.of(4).buffer });
    expect(await arrived).toEqual([Uint8Array.of(2, 3), Uint8Array.of(4)]);
  });

  test('a send that fails, or comes while it is closing, is endpoint-lost', () => {
    const socket = new ScriptedSocket();
    const connection = webSocketConnection(socket);
    expect(codeOf(() => connection.send(Uint8Array.of(1)))).toBe('endpoint-lost');
    socket.readyState = 2;
    expect(codeOf(() => connection.send(Uint8Array.of(1)))).toBe('endpoint-lost');
  });

  test('tells how much waits to be sent', () => {
    const socket = new ScriptedSocket();
    const connection = webSocketConnection(socket);
    socket.bufferedAmount = 42;
    expect(connection.buffered).toBe(42);
  });

  test('the browser’s own WebSocket has what is used of it', () => {
    type Fits = typeof globalThis.WebSocket extends WebSocketConstructor ? true : false;
    const fits: Fits = true;
    expect(fits).toBe(true);
  });

  test('a connection that is open in time leaves no timer that could end it', async () => {
    vi.useFakeTimers();
    try {
      const made: ScriptedSocket[] = [];
      class Recorded extends ScriptedSocket {
        constructor() {
          super();
          made.push(this);
        }
      }
      const attempt = connectWebSocket('ws://endpoint', { WebSocket: Recorded })({ timeoutMs: 50 });
      expect(vi.getTimerCount()).toBe(1);
      made[0]?.emit('open', {});
      const connection = await attempt;
      expect(vi.getTimerCount()).toBe(0);
      expect(made[0]?.closes).toEqual([]);
      connection.close();
      expect(made[0]?.closes).toEqual([[1000, '']]);
    } finally {
      vi.useRealTimers();
    }
  });
});
