/** Which address means what. Every answer leaves with the common headers; nothing thrown goes further. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { IsthmusError, toIsthmusError } from '../../errors.ts';
import type { FleetDesk } from '../fleet-desk.ts';
import type { MetricsSnapshot } from '../metrics.ts';
import { prometheusText } from '../metrics.ts';
import { type Service, stoppingError } from '../service.ts';
import { createCompressor } from './compressor.ts';
import { fleet } from './fleet.ts';
import { COMMON_HEADERS, PREFLIGHT_HEADERS } from './headers.ts';
import { infer } from './infer.ts';
import { modelMetadata, serverMetadata } from './metadata.ts';
import { packageFiles, type ServedPackage } from './package-files.ts';
import { type Exchange, reply, replyError, replyJson, replyNotFound } from './reply.ts';
import { staticFiles } from './static-files.ts';
import { words } from './words.ts';

export interface RouterOptions {
  readonly service: Service;
  readonly packages: ReadonlyMap<string, ServedPackage>;
  /** Folder of pages, served at `/`. */
  readonly staticDir?: string;
  readonly metrics: () => MetricsSnapshot;
  /** Absent where reports of devices are not taken. */
  readonly desk?: FleetDesk;
}

const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function createRouter(
  options: RouterOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { service, desk } = options;
  const compressor = createCompressor();
  const serveFile = packageFiles(options.packages, service.metrics, compressor);
  const { staticDir } = options;
  const serveStatic = staticDir === undefined ? undefined : staticFiles(staticDir, compressor);

  const v2 = async (exchange: Exchange, rest: readonly string[]): Promise<void> => {
    const [what, name = '', action] = rest;
    if (what === undefined || what === '') return replyJson(exchange, serverMetadata());
    if (what === 'health' && name === 'live') return replyJson(exchange, { live: true });
    if (what === 'health' && name === 'ready') {
      if (service.stopping) throw stoppingError();
      return replyJson(exchange, { ready: true });
    }
    if (what === 'models' && action === 'fleet' && desk !== undefined) {
      return fleet(exchange, { desk, metrics: service.metrics }, name, rest.slice(3));
    }
    if (what !== 'models' || rest.length > 3) return replyNotFound(exchange);
    if (action === undefined) return replyJson(exchange, modelMetadata(service.host(name).manifest));
    if (action === 'infer') return infer(exchange, service, name);
    if (action === 'words') return words(exchange, service.wordsOf(name));
    if (action !== 'ready') return replyNotFound(exchange);
    service.host(name);
    if (service.stopping) throw stoppingError();
    replyJson(exchange, { name, ready: true });
  };

  const route = async (exchange: Exchange): Promise<void> => {
    const [root = '', ...rest] = exchange.path;
    if (!allowed(exchange)) return;
    if (root === 'v2') return v2(exchange, rest);
    if (root === 'packages') return serveFile(exchange, rest[0] ?? '', rest.slice(1).join('/'));
    if (root === 'metrics' && rest.length === 0) {
      const body = prometheusText(options.metrics());
      return reply(exchange, { type: PROMETHEUS_TYPE, headers: { 'Cache-Control': 'no-store' }, body });
    }
    if (serveStatic === undefined) return replyNotFound(exchange);
    await serveStatic(exchange);
  };

  return (request, response) => {
    for (const [name, value] of Object.entries(COMMON_HEADERS)) response.setHeader(name, value);
    let exchange: Exchange = { request, response, path: [] };
    const handled = async (): Promise<void> => {
      exchange = { request, response, path: pathOf(request.url ?? '/') };
      await route(exchange);
    };
    handled().catch((thrown: unknown) => {
      const error = toIsthmusError(thrown, 'endpoint-failed');
      if (exchange.path.at(-1) === 'infer') service.metrics.failed('infer', error.code);
      // A client that left in the middle of a file is no fault of ours, and hears no answer.
      else if (!response.destroyed) service.metrics.error(error.code);
      if (!response.destroyed) replyError(exchange, error);
    });
  };
}

/** Answers preflights and refuses methods that the address does not take. */
function allowed(exchange: Exchange): boolean {
  const { request, response, path } = exchange;
  if (request.method === 'OPTIONS') {
    response.writeHead(204, PREFLIGHT_HEADERS).end();
    return false;
  }
  const action = path[0] === 'v2' && path[1] === 'models' ? path[3] : undefined;
  const methods =
    action === 'infer' || action === 'words'
      ? ['POST']
      : action === 'fleet'
        ? ['GET', 'HEAD', 'POST']
        : ['GET', 'HEAD'];
  if (methods.includes(request.method ?? '')) return true;
  response.setHeader('Allow', [...methods, 'OPTIONS'].join(', '));
  replyJson(exchange, { error: `this address takes ${methods.join(' and ')}` }, 405);
  return false;
}

/** Segments of the path, each decoded on its own, so that an encoded slash stays within its segment. */
function pathOf(url: string): string[] {
  const [path = '/'] = url.split(/[?#]/, 1);
  try {
    return path.replace(/^\//, '').split('/').map(decodeURIComponent);
  } catch (cause) {
    throw new IsthmusError('bad-frame', 'the address is not well encoded', { cause });
  }
}
