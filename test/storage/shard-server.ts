/** A file server on loopback that misbehaves on demand and counts what it sends. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Behaviour {
  readonly status?: number;
  /** Answers a range request with 200 and everything. */
  readonly ignoreRange?: boolean;
  readonly contentRange?: string;
  /** Sent in place of the file. */
  readonly body?: Uint8Array;
  /** Without a length: the body ends where it ends. */
  readonly chunked?: boolean;
  /** After this many bytes of the body: waits for `until`, then goes on, or breaks or ends the body. */
  readonly pause?: {
    readonly at: number;
    readonly until?: Promise<unknown>;
    readonly after: 'go on' | 'break' | 'end' | 'hang';
  };
}

export class ShardServer {
  readonly files = new Map<string, Uint8Array>();
  /** Taken from the front, one per request; none left means to behave. */
  readonly behaviours: Behaviour[] = [];
  readonly requests: { readonly path: string; readonly range: string | undefined }[] = [];
  /** Body bytes of files given to the network. */
  sent = 0;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  static async start(files: ReadonlyMap<string, Uint8Array> = new Map()): Promise<ShardServer> {
    const server = new ShardServer();
    for (const [path, bytes] of files) server.files.set(path, bytes);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}/${path}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://host').pathname.slice(1));
    const { range } = request.headers;
    this.requests.push({ path, range });
    const behaviour = this.behaviours.shift() ?? {};
    const file = behaviour.body ?? this.files.get(path);
    const from = behaviour.ignoreRange ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const status = behaviour.status ?? (file === undefined ? 404 : from > 0 ? 206 : 200);
    if (file === undefined || status >= 300) {
      response.writeHead(status).end('no');
      return;
    }
    const body = file.subarray(from);
    response.writeHead(status, {
      'content-type': path.endsWith('.html')
        ? 'text/html'
        : path.endsWith('.js')
          ? 'text/javascript'
          : 'application/octet-stream',
      ...(!behaviour.chunked && { 'content-length': body.byteLength }),
      ...(status === 206 && {
        'content-range': behaviour.contentRange ?? `bytes ${from}-${file.byteLength - 1}/${file.byteLength}`,
      }),
    });
    const { pause } = behaviour;
    if (pause) {
      await this.#write(response, body.subarray(0, pause.at));
      await pause.until;
      if (pause.after === 'hang') return;
      if (pause.after === 'break') {
        response.socket?.end();
        return;
      }
    }
    if (pause?.after !== 'end') await this.#write(response, body.subarray(pause?.at ?? 0));
    response.end();
  }

  async #write(response: ServerResponse, bytes: Uint8Array): Promise<void> {
    this.sent += bytes.byteLength;
    await new Promise<void>((resolve, reject) => {
      response.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }
}

/** A promise and its key. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
