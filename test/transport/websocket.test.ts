import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { connectWebSocket, webSocketConnection } from '../../src/transport/websocket.ts';
import { closed, describeFrameConnection, receive } from '../contracts/frame-connection.ts';
import { httpLoopback, type SocketLoopback, socketLoopback } from './loopback.ts';

let loopback: SocketLoopback;

beforeEach(async () => {
  loopback = await socketLoopback();
});
afterEach(() => loopback.close());

async function pairOf() {
  const accepted = loopback.accept();
  const client = await connectWebSocket(loopback.url, { WebSocket })();
  const socket = await accepted;
  return { client, socket };
}

describeFrameConnection('a WebSocket', async () => {
  // The server's side is wrapped as soon as it exists, as an endpoint does it.
  const accepted = loopback.accept().then((socket) => ({ socket, right: webSocketConnection(socket) }));
  const left = await connectWebSocket(loopback.url, { WebSocket })();
  const { socket, right } = await accepted;
  return {
    left,
    right,
    breakLink: () => socket.terminate(),
    async dispose() {
      if (socket.readyState === WebSocket.CLOSED) return;
      const gone = once(socket, 'close');
      socket.terminate();
      await gone;
    },
  };
});

describe('connecting', () => {
  test('a frame sent at once is not lost', async () => {
    const accepted = loopback.accept().then((socket) => socket.send(Uint8Array.of(5)));
    const client = await connectWebSocket(loopback.url, { WebSocket })();
    await accepted;
    expect(await receive(client, 1)).toEqual([Uint8Array.of(5)]);
  });

  test('to where nobody listens is endpoint-lost', async () => {
    const { url } = loopback;
    await loopback.close();
    const attempt = connectWebSocket(url, { WebSocket })();
    await expect(attempt).rejects.toMatchObject({ code: 'endpoint-lost' });
    loopback = await socketLoopback();
  });

  test('to a server that speaks no WebSocket is endpoint-lost', async () => {
    const http = await httpLoopback((_, response) => response.writeHead(200).end('hello'));
    const attempt = connectWebSocket(http.url, { WebSocket })();
    await expect(attempt).rejects.toMatchObject({ code: 'endpoint-lost' });
    await http.close();
  });

  test('to an address that is none is endpoint-lost', async () => {
    const attempt = connectWebSocket('http://[', { WebSocket })();
    await expect(attempt).rejects.toMatchObject({ code: 'endpoint-lost' });
  });

  describe('to a server that never answers', () => {
    const silent = createServer();
    const held: Socket[] = [];
    silent.on('connection', (socket) => held.push(socket));

    async function silentUrl(): Promise<string> {
      if (!silent.listening) {
        silent.listen(0, '127.0.0.1');
        await once(silent, 'listening');
      }
      const address = silent.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      return `ws://127.0.0.1:${address.port}`;
    }

    afterEach(async () => {
      for (const socket of held) socket.destroy();
      silent.close();
      await once(silent, 'close');
    });

    test('ends after the time allowed, and hangs up', async () => {
      const hungUp = once(silent, 'connection').then(([socket]) =>
        once((socket as Socket).resume(), 'close'),
      );
      const attempt = connectWebSocket(await silentUrl(), { WebSocket })({ timeoutMs: 20 });
      await expect(attempt).rejects.toMatchObject({ code: 'endpoint-lost' });
      await hungUp;
    });

    test('ends when it is aborted, and hangs up', async () => {
      const controller = new AbortController();
      const { signal } = controller;
      const hungUp = once(silent, 'connection').then(async ([socket]) => {
        const gone = once((socket as Socket).resume(), 'close');
        controller.abort();
        await gone;
      });
      const attempt = connectWebSocket(await silentUrl(), { WebSocket })({ signal });
      await expect(attempt).rejects.toMatchObject({ code: 'aborted' });
      await hungUp;
    });
  });

  test('does not begin when it is aborted beforehand', async () => {
    const made: string[] = [];
    class Recorded extends WebSocket {
      constructor(url: string) {
        made.push(url);
        super(url);
      }
    }
    const attempt = connectWebSocket(loopback.url, { WebSocket: Recorded })({ signal: AbortSignal.abort() });
    await expect(attempt).rejects.toMatchObject({ code: 'aborted' });
    expect(made).toEqual([]);
  });

  test('an abort after it is open does not close it', async () => {
    const accepted = loopback.accept();
    const controller = new AbortController();
    const client = await connectWebSocket(loopback.url, { WebSocket })({ signal: controller.signal });
    controller.abort();
    (await accepted).send(Uint8Array.of(1));
    expect(await receive(client, 1)).toEqual([Uint8Array.of(1)]);
  });
});

describe('what the other side may not do', () => {
  test('a text ends the connection with an error, and the sender is told why', async () => {
    const { client, socket } = await pairOf();
    const told = once(socket, 'close');
    const end = closed(client);
    socket.send('hello');
    expect(await end).toMatchObject({ code: 'endpoint-lost' });
    expect((await told)[0]).toBe(1003);
  });

  test('a close with a code of failure is an error that names it', async () => {
    const { client, socket } = await pairOf();
    const end = closed(client);
    socket.close(1011, 'out of memory');
    expect(await end).toMatchObject({ code: 'endpoint-lost', details: { closeCode: 1011 } });
    expect((await end)?.message).toContain('out of memory');
  });

  test('an endpoint that goes away is an error, so that its work is taken over', async () => {
    const { client, socket } = await pairOf();
    const end = closed(client);
    socket.close(1001);
    expect(await end).toMatchObject({ code: 'endpoint-lost' });
  });

  test('bytes that are no WebSocket frame end the connection', async () => {
    const accepted = new Promise<Socket>((resolve) => {
      void loopback.accept().then((socket) => resolve((socket as unknown as { _socket: Socket })._socket));
    });
    const client = await connectWebSocket(loopback.url, { WebSocket })();
    const end = closed(client);
    (await accepted).write(Buffer.from([0xff, 0xff, 0xff]));
    expect(await end).toMatchObject({ code: 'endpoint-lost' });
  });
});
