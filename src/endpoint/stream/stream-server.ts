/** Takes WebSocket connections at one path of an HTTP server, and notices those that are dead. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { MAX_FRAME_BYTES } from '../../protocol/limits.ts';
import { CLOSE_TIMEOUT_MS, HEARTBEAT_MS, MAX_SILENT_HEARTBEATS } from '../limits.ts';
import type { Service } from '../service.ts';
import { StreamConnection } from './connection.ts';

export const STREAM_PATH = '/v2/stream';

/** Going away; the client may come back to another endpoint. */
const CLOSE_GOING_AWAY = 1001;

export interface StreamServer {
  readonly connections: number;
  /** Says goodbye to all clients and waits until their sockets are gone. */
  close(): Promise<void>;
}

export function createStreamServer(server: Server, service: Service): StreamServer {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    // Activations do not compress, and a compressed frame can grow a thousandfold.
    perMessageDeflate: false,
    clientTracking: true,
  });
  const silent = new Map<WebSocket, number>();

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const path = (request.url ?? '').split('?', 1)[0];
    if (path !== STREAM_PATH) return refuse(socket, '404 Not Found');
    if (service.stopping) return refuse(socket, '503 Service Unavailable');
    sockets.handleUpgrade(request, socket, head, (client) => {
      const heard = (): unknown => silent.set(client, 0);
      heard();
      client.on('pong', heard);
      client.on('message', heard);
      client.on('close', () => silent.delete(client));
      new StreamConnection(client, service);
    });
  });

  const heartbeat = setInterval(() => {
    for (const [client, beats] of silent) {
      // While much is queued, our question and its answer wait behind it; a slow link is not a dead one.
      const patience = client.bufferedAmount > 0 ? MAX_SILENT_HEARTBEATS : 1;
      if (beats > patience) client.terminate();
      else {
        silent.set(client, beats + 1);
        if (client.readyState === client.OPEN) client.ping();
      }
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();

  return {
    get connections() {
      return sockets.clients.size;
    },
    close: async () => {
      clearInterval(heartbeat);
      await Promise.all([...sockets.clients].map(farewell));
    },
  };
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function farewell(client: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => client.terminate(), CLOSE_TIMEOUT_MS);
    client.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    // A client that is paused would never see the handshake's answer.
    client.resume();
    client.close(CLOSE_GOING_AWAY, 'endpoint-stopping');
  });
}
