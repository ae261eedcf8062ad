/**
 * A server that behaves like a model hub: an API and `resolve` on one port, large files behind a redirect
 * to another port, as on a CDN. What it does wrong is told it by the test.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Larger files are kept apart under their SHA-256, as LFS does. */
const LARGE = 1000;

/** Files on one page of a listing. */
const PAGE = 4;

export interface SeenRequest {
  readonly at: 'hub' | 'cdn';
  readonly url: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly authorization: string | undefined;
}

/** What goes wrong; each is asked at the moment it matters. */
export interface Misbehaviour {
  /** Cut the body of this CDN answer (counted from 0) after so many bytes. */
  cutAfter?: (answer: number) => number | undefined;
  /** Tag of the object at the CDN. */
  cdnTag?: (answer: number) => string | undefined;
  ignoreIfRange?: boolean;
  ignoreRange?: boolean;
  /** What the CDN has in place of the content. */
  content?: (bytes: Buffer) => Buffer;
  /** Status and headers instead of an answer of the hub; counted from 0. */
  refuse?: (url: string, request: number) => { status: number; headers?: Record<string, string> } | undefined;
  /** Token without which the repository cannot be had. */
  token?: string;
  gated?: boolean;
  /** Says another hash in the redirect. */
  linkedTag?: string;
}

export interface HubServer {
  readonly url: string;
  readonly seen: SeenRequest[];
  readonly wrong: Misbehaviour;
  readonly commit: string;
  /** Bytes of bodies that the CDN sent. */
  sent(): number;
  put(path: string, bytes: Uint8Array | string): void;
  close(): Promise<void>;
}

export async function startHub(
  repo: string,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<HubServer> {
  const content = new Map<string, Buffer>();
  const put = (path: string, bytes: Uint8Array | string): void => void content.set(path, Buffer.from(bytes));
  for (const [path, bytes] of Object.entries(files)) put(path, bytes);
  const commit = createHash('sha1').update(repo).digest('hex');
  const seen: SeenRequest[] = [];
  const wrong: Misbehaviour = {};
  let hubRequests = 0;
  let cdnAnswers = 0;
  let sent = 0;

  const note = (at: SeenRequest['at'], request: IncomingMessage): URL => {
    const { range, authorization } = request.headers;
    const ifRange = request.headers['if-range'];
    seen.push({ at, url: request.url ?? '', range, authorization, ifRange: ifRange?.toString() });
    return new URL(request.url ?? '/', 'http://here');
  };

  const cdn = createServer((request, response) => {
    const { pathname } = note('cdn', request);
    const hash = pathname.slice(1);
    const found = [...content.values()].find((bytes) => sha256(bytes) === hash);
    if (found === undefined) {
      refuse(response, 404, {});
      return;
    }
    const answer = cdnAnswers++;
    const bytes = wrong.content?.(found) ?? found;
    const tag = wrong.cdnTag?.(answer) ?? `"${hash.slice(0, 16)}"`;
    const { from, status, end } = rangeOf(request, bytes, tag);
    if (status === 416) {
      refuse(response, 416, { 'content-range': `bytes */${bytes.byteLength}` });
      return;
    }
    const body = bytes.subarray(from, end);
    const cut = wrong.cutAfter?.(answer);
    response.writeHead(status, {
      etag: tag,
      'accept-ranges': 'bytes',
      'content-length': body.byteLength,
      ...(status === 206 && { 'content-range': `bytes ${from}-${end - 1}/${bytes.byteLength}` }),
    });
    if (cut === undefined || cut >= body.byteLength) {
      sent += body.byteLength;
      response.end(body);
      return;
    }
    sent += cut;
    response.write(body.subarray(0, cut), () => response.destroy());
  });

  function rangeOf(request: IncomingMessage, bytes: Buffer, tag: string) {
    const whole = { from: 0, status: 200, end: bytes.byteLength };
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const ifRange = request.headers['if-range'];
    if (range === null || wrong.ignoreRange === true) return whole;
    if (ifRange !== undefined && ifRange !== tag && wrong.ignoreIfRange !== true) return whole;
    const from = Number(range[1]);
    if (from >= bytes.byteLength) return { ...whole, status: 416 };
    const end = range[2] === '' ? bytes.byteLength : Math.min(bytes.byteLength, Number(range[2]) + 1);
    return { from, status: 206, end };
  }

  const hub = createServer((request, response) => {
    const url = note('hub', request);
    const refusal = wrong.refuse?.(request.url ?? '', hubRequests++);
    if (refusal !== undefined) {
      refuse(response, refusal.status, refusal.headers ?? {});
      return;
    }
    const path = decodeURIComponent(url.pathname);
    if (path === '/api/models') {
      json(response, [{ id: repo }, { id: `${repo}-GGUF` }]);
      return;
    }
    const inResolve = path.startsWith(`/${repo}/resolve/${commit}/`);
    if (!inResolve && !path.startsWith(`/api/models/${repo}/`)) {
      refuse(response, 401, { 'x-error-code': 'RepoNotFound' });
      return;
    }
    const allowed = wrong.token === undefined || request.headers.authorization === `Bearer ${wrong.token}`;
    // The listing of a gated repository is open; its files are not.
    if (!allowed && wrong.gated === true && inResolve) {
      refuse(response, 401, { 'x-error-code': 'GatedRepo' });
      return;
    }
    if (!allowed && wrong.gated !== true) {
      refuse(response, 401, { 'x-error-code': 'RepoNotFound' });
      return;
    }
    if (inResolve) {
      resolveFile(request, response, path.slice(`/${repo}/resolve/${commit}/`.length));
      return;
    }
    if (path.startsWith(`/api/models/${repo}/revision/`)) {
      const revision = path.slice(`/api/models/${repo}/revision/`.length);
      if (!['main', 'v1', 'refs/pr/1', commit].includes(revision)) {
        refuse(response, 404, { 'x-error-code': 'RevisionNotFound' });
        return;
      }
      json(response, {
        id: repo,
        sha: commit,
        siblings: [...content.keys()].map((rfilename) => ({ rfilename })),
      });
      return;
    }
    if (path === `/api/models/${repo}/tree/${commit}`) return tree(url, response);
    refuse(response, 404, {});
    return;
  });

  function tree(url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const entries = [...content].map(([path, bytes]) => entryOf(path, bytes));
    const next = new URL(url);
    next.searchParams.set('cursor', String(from + PAGE));
    // Mirrors pass on the address of the hub that they stand for.
    const link = `<https://elsewhere.invalid${next.pathname}${next.search}>; rel="next"`;
    json(response, entries.slice(from, from + PAGE), from + PAGE < entries.length ? { link } : {});
  }

  function resolveFile(request: IncomingMessage, response: ServerResponse, path: string): void {
    const found = content.get(path);
    const bytes =
      found?.byteLength === undefined || found.byteLength > LARGE ? found : (wrong.content?.(found) ?? found);
    if (bytes === undefined) {
      refuse(response, 404, { 'x-error-code': 'EntryNotFound' });
      return;
    }
    if (bytes.byteLength <= LARGE) {
      const etag = `"${gitSha1(bytes)}"`;
      const { from, status, end } = rangeOf(request, bytes, etag);
      response.writeHead(status, {
        etag,
        'content-length': end - from,
        ...(status === 206 && { 'content-range': `bytes ${from}-${end - 1}/${bytes.byteLength}` }),
      });
      response.end(bytes.subarray(from, end));
      return;
    }
    const hash = sha256(bytes);
    response.writeHead(302, {
      location: `${addressOf(cdn)}/${hash}?signature=abc`,
      'x-linked-etag': `"${wrong.linkedTag ?? hash}"`,
      'x-linked-size': bytes.byteLength,
      'x-repo-commit': commit,
    });
    response.end();
  }

  await Promise.all([listen(hub), listen(cdn)]);
  return {
    url: addressOf(hub),
    seen,
    wrong,
    commit,
    sent: () => sent,
    put,
    close: async () => {
      await Promise.all([hub, cdn].map((server) => stop(server)));
    },
  };
}

function entryOf(path: string, bytes: Buffer): object {
  const oid = gitSha1(bytes);
  const entry = { type: 'file', path, size: bytes.byteLength, oid };
  if (bytes.byteLength <= LARGE) return entry;
  return { ...entry, lfs: { oid: sha256(bytes), size: bytes.byteLength, pointerSize: 130 } };
}

function json(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string>): void {
  response.writeHead(status, headers);
  response.end('no');
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function gitSha1(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex');
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
