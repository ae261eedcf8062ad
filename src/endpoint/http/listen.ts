/** The server under an endpoint: plain or with TLS, bounded, on an address of its own. */
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { IsthmusError } from '../../errors.ts';
import type { EndpointOptions } from '../endpoint-types.ts';
import * as limits from '../limits.ts';

/** Throws `bad-option` for a certificate and key that do not belong together. */
export function createHttpServer(tls: EndpointOptions['tls']): Server {
  const timeouts = { headersTimeout: limits.HEADERS_TIMEOUT_MS, requestTimeout: limits.REQUEST_TIMEOUT_MS };
  let server: Server;
  try {
    server = tls === undefined ? createServer(timeouts) : createTlsServer({ ...timeouts, ...tls });
  } catch (cause) {
    throw new IsthmusError('bad-option', 'the certificate and key do not make a TLS server', { cause });
  }
  server.maxConnections = limits.MAX_CONNECTIONS;
  return server;
}

/** Throws `bad-option` when the address cannot be listened on. */
export async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new IsthmusError('bad-option', `cannot listen on ${host}, port ${port}: ${reason}`, { cause });
  });
  // A server that listens on a port has an address of this form; strings are those of pipes.
  return server.address() as AddressInfo;
}

/** As it stands in a URL; an endpoint on all addresses is named by the local one. */
export function hostOf({ address }: AddressInfo): string {
  if (address === '0.0.0.0' || address === '::') return 'localhost';
  return address.includes(':') ? `[${address}]` : address;
}
