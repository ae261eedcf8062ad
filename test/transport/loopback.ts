/** Servers on loopback for the tests of transports. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface HttpLoopback {
  readonly url: string;
  readonly server: Server;
  close(): Promise<void>;
}

export async function httpLoopback(listener?: RequestListener): Promise<HttpLoopback> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    server,
    async close() {
      server.closeAllConnections();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}

export interface SocketLoopback {
  readonly url: string;
  /** The server's side of the next connection. */
  accept(): Promise<WebSocket>;
  close(): Promise<void>;
}

export async function socketLoopback(): Promise<SocketLoopback> {
  const http = await httpLoopback();
  const sockets = new WebSocketServer({ server: http.server });
  return {
    url: http.url,
    async accept() {
      const [socket] = (await once(sockets, 'connection')) as [WebSocket];
      return socket;
    },
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      await http.close();
    },
  };
}
