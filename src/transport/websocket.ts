/**
 * Frames over a WebSocket. Which one is an argument: the browser's own, or that of the `ws` package in
 * Node, at either end. One binary message is one frame.
 */
import { IsthmusError, throwIfAborted } from '../errors.ts';
import { MAX_FRAME_BYTES } from '../protocol/limits.ts';
import { Inbox } from './inbox.ts';
import type { Connect, FrameConnection } from './transport.ts';

/** What is read of the events of either implementation. */
export interface SocketEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
}

/** The part of the standard interface that is used. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(
    type: 'open' | 'message' | 'close' | 'error',
    listener: (event: SocketEvent) => void,
  ): void;
}

export type WebSocketConstructor = new (url: string) => WebSocketLike;

export interface WebSocketOptions {
  readonly WebSocket: WebSocketConstructor;
}

/** Ms. Above the worst handshake over a mobile link (DNS, TCP, TLS, upgrade: five round trips of 1 s). */
export const CONNECT_TIMEOUT_MS = 10_000;

/** `readyState` of an open socket. */
const OPEN = 1;

/** Codes of RFC 6455, section 7.4.1. */
const NORMAL = 1000;
const NO_STATUS = 1005;
const UNSUPPORTED_DATA = 1003;
const TOO_BIG = 1009;

/**
 * `url` may be `http(s):` or `ws(s):`. The returned function opens one connection per call; it rejects
 * with `aborted`, or with `endpoint-lost` when the endpoint refuses or does not answer in time.
 */
export function connectWebSocket(url: string, { WebSocket }: WebSocketOptions): Connect {
  const address = url.replace(/^http/i, 'ws');
  return async ({ signal, timeoutMs = CONNECT_TIMEOUT_MS } = {}) => {
    throwIfAborted(signal);
    const socket = open(address, WebSocket);
    // Before it is open, so that no message can slip by while the caller's turn has not come.
    const connection = webSocketConnection(socket);
    await opened(socket, connection, signal, timeoutMs);
    return connection;
  };
}

function open(address: string, WebSocket: WebSocketConstructor): WebSocketLike {
  try {
    return new WebSocket(address);
  } catch (cause) {
    throw new IsthmusError('endpoint-lost', `no connection can be made to ${address}`, { cause });
  }
}

/** Resolves when the socket is open; whatever else comes first closes it. */
function opened(
  socket: WebSocketLike,
  connection: FrameConnection,
  signal: AbortSignal | undefined,
  timeoutMs: number,
): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      settle(new IsthmusError('endpoint-lost', `no connection within ${timeoutMs} ms`));
    }, timeoutMs);
    const onAbort = () =>
      settle(new IsthmusError('aborted', 'the work was aborted', { cause: signal?.reason }));
    const settle = (error?: Error) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      if (error === undefined) return resolve();
      reject(error);
      connection.close();
    };
    signal?.addEventListener('abort', onAbort);
    socket.addEventListener('open', () => settle());
    connection.onClose((error) => {
      settle(error ?? new IsthmusError('endpoint-lost', 'the endpoint closed the connection'));
    });
  });
}

/** A connection over a socket that exists already: an endpoint's side, or one being opened. */
export function webSocketConnection(socket: WebSocketLike): FrameConnection {
  const inbox = new Inbox();
  let failure: string | undefined;
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('message', ({ data }) => {
    const frame = bytesOf(data);
    if (frame === undefined) return fail(UNSUPPORTED_DATA, 'the other side sent a text');
    if (frame.byteLength > MAX_FRAME_BYTES) return fail(TOO_BIG, 'the other side sent too large a frame');
    try {
      inbox.push(frame);
    } catch (cause) {
      fail(TOO_BIG, 'frames arrive that nobody reads', cause);
    }
  });
  // Without a listener `ws` would throw. What went wrong is only told by implementations outside browsers.
  socket.addEventListener('error', ({ message }) => {
    failure ??= message;
  });
  socket.addEventListener('close', ({ code = NO_STATUS, reason = '' }) => {
    const clean = failure === undefined && (code === NORMAL || code === NO_STATUS);
    inbox.end(clean ? undefined : lost(failure ?? reason, code));
  });

  function fail(code: number, message: string, cause?: unknown): void {
    inbox.end(new IsthmusError('endpoint-lost', message, cause === undefined ? {} : { cause }));
    closeSocket(socket, code, message);
  }

  return {
    get buffered() {
      return socket.bufferedAmount;
    },
    send(frame) {
      if (inbox.ended || socket.readyState !== OPEN) {
        throw new IsthmusError('endpoint-lost', 'the connection is closed');
      }
      try {
        socket.send(unshared(frame));
      } catch (cause) {
        throw new IsthmusError('endpoint-lost', 'the frame could not be sent', { cause });
      }
    },
    onFrame: (handler) => inbox.onFrame(handler),
    onClose: (handler) => inbox.onClose(handler),
    close() {
      inbox.end(undefined, { discard: true });
      closeSocket(socket, NORMAL, '');
    },
  };
}

/**
 * Browsers allow a page only 1000 and 3000-4999; then the connection is closed without a code, which
 * the other side sees as clean, but this side has kept its error.
 */
function closeSocket(socket: WebSocketLike, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    socket.close();
  }
}

/** Browsers refuse views of shared memory, which is what a threaded WebAssembly heap is. */
function unshared(frame: Uint8Array): Uint8Array<ArrayBuffer> {
  return isUnshared(frame) ? frame : new Uint8Array(frame);
}

function isUnshared(frame: Uint8Array): frame is Uint8Array<ArrayBuffer> {
  return Object.prototype.toString.call(frame.buffer) === '[object ArrayBuffer]';
}

/** By its tag and not by `instanceof`: the socket may come from another realm. */
function bytesOf(data: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (Object.prototype.toString.call(data) !== '[object ArrayBuffer]') return undefined;
  return new Uint8Array(data as ArrayBuffer);
}

function lost(reason: string, code: number): IsthmusError {
  const message = `the connection was lost${reason === '' ? '' : `: ${reason}`}`;
  return new IsthmusError('endpoint-lost', message, { details: { closeCode: code } });
}
