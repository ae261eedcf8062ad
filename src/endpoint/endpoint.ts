/** The server that runs spans: HTTP and WebSocket on one port, one runner for each package. */
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../core/clock.ts';
import { IsthmusError, isIsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import { MAX_MODELS } from '../protocol/limits.ts';
import { createPackageRunner } from '../runtime/node/package-runner.ts';
import type { PackageSource } from '../runtime/runner.ts';
import type { FarWords } from '../runtime/words.ts';
import { sha256Hex } from '../storage/sha256.ts';
import { FleetDesk } from './fleet-desk.ts';
import { openFleetFile } from './fleet-file.ts';
import { createRouter } from './http/router.ts';
import * as limits from './limits.ts';
import { Metrics, type MetricsSnapshot } from './metrics.ts';
import { type CreateRunner, ModelHost } from './model-host.ts';
import { Service } from './service.ts';
import { createStreamServer } from './stream/stream-server.ts';
import { CAN_START_WORKER, startWorkerRunner } from './worker/start-worker.ts';

export type { MetricsSnapshot } from './metrics.ts';
export type { CreateRunner } from './model-host.ts';

/** A package that was opened from a folder. */
export interface EndpointPackage {
  readonly manifest: Manifest;
  readonly source: PackageSource;
  /** Folder of its files, which clients may download. */
  readonly dir: string;
  /** For clients whose tokenizer is still on its way; without it they wait for that. */
  readonly words?: FarWords;
}

export interface EndpointOptions {
  /** At least one; their names must differ. */
  readonly packages: readonly EndpointPackage[];
  /** Address to listen on. Default `127.0.0.1`: nobody else can reach it. */
  readonly host?: string;
  /** Default 0: any that is free. */
  readonly port?: number;
  /** Folder of pages to serve at `/`. Default: none. */
  readonly staticDir?: string;
  /** PEM texts; with them the endpoint speaks HTTPS and WSS. Default: plain. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Threads of each session of the runtime. Default 1. */
  readonly threads?: number;
  /** Requests open at once, over all connections. Default `MAX_OPEN_REQUESTS`. */
  readonly maxSessions?: number;
  /** Segments of one package with sessions in memory. Default `MAX_LOADED_SEGMENTS`. */
  readonly maxLoadedSegments?: number;
  /** Decoded bytes of input to one start or step. Default `MAX_INPUT_BYTES`. */
  readonly maxInputBytes?: number;
  /** Ms that a request may wait for its next step before its state is dropped. Default `IDLE_REQUEST_MS`. */
  readonly idleRequestMs?: number;
  /** Lanes open at once, over all connections. Default `MAX_OPEN_LANES`. */
  readonly maxLanes?: number;
  /** Bytes of state in all lanes. Default `MAX_STATE_BYTES`. */
  readonly maxStateBytes?: number;
  /** Ms without a call after which a lane is dropped. Default `IDLE_LANE_MS`. */
  readonly idleLaneMs?: number;
  /**
   * Take reports of how fast devices are from clients whose users agreed, and tell new devices what came of them;
   * with a file, also after a restart. Default: none of it. Counts are kept, and nothing of who sent them.
   */
  readonly fleet?: boolean | { readonly file: string };
  /** Build the whole model's sessions at once, before anyone asks. Default true. */
  readonly warm?: boolean;
  /**
   * With `warm`: run a short request too, so that the first client hears how fast this place is. Default true.
   */
  readonly rehearse?: boolean;
  /** Default: a runner in a thread of its own, or in this one where the sources run uncompiled. */
  readonly createRunner?: CreateRunner;
  readonly clock?: Clock;
  /** Told what an operator may want to know. Default: nobody. */
  readonly log?: (line: string) => void;
}

export interface Endpoint {
  /** With the address that it listens on, without a slash at its end. */
  readonly url: string;
  readonly port: number;
  /** Requests and calls on lanes that are under way now. */
  readonly activeRequests: number;
  /** Lanes that are open now; each may hold the state of a text. */
  readonly openLanes: number;
  metrics(): MetricsSnapshot;
  /**
   * Stops: nothing new is taken, open requests get `graceMs` (default `DEFAULT_GRACE_MS`) to finish and
   * then fail with `endpoint-stopping`, sockets and runners are closed. Safe to call twice.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Throws `bad-option`, also when the address cannot be listened on. */
export async function createEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const packages = byName(options.packages);
  const clock = options.clock ?? systemClock;
  const log = options.log ?? (() => undefined);
  const createRunner = options.createRunner ?? defaultRunner(positive('threads', options.threads ?? 1));
  const maxLoadedSegments = positive(
    'maxLoadedSegments',
    options.maxLoadedSegments ?? limits.MAX_LOADED_SEGMENTS,
  );
  const hosts = new Map(
    [...packages].map(([name, { manifest, source }]) => [
      name,
      new ModelHost({ manifest, source, createRunner, clock, maxLoadedSegments, log }),
    ]),
  );
  const metrics = new Metrics();
  const service = new Service({
    hosts,
    words: new Map(
      [...packages].flatMap(([name, { words }]) => (words === undefined ? [] : [[name, words] as const])),
    ),
    metrics,
    clock,
    log,
    limits: {
      maxOpenRequests: positive('maxSessions', options.maxSessions ?? limits.MAX_OPEN_REQUESTS),
      maxInputBytes: positive('maxInputBytes', options.maxInputBytes ?? limits.MAX_INPUT_BYTES),
      idleRequestMs: positive('idleRequestMs', options.idleRequestMs ?? limits.IDLE_REQUEST_MS),
      maxLanes: positive('maxLanes', options.maxLanes ?? limits.MAX_OPEN_LANES),
      maxStateBytes: positive('maxStateBytes', options.maxStateBytes ?? limits.MAX_STATE_BYTES),
      idleLaneMs: positive('idleLaneMs', options.idleLaneMs ?? limits.IDLE_LANE_MS),
    },
  });
  const desk = options.fleet ? await deskFor(packages, clock) : undefined;
  const file =
    desk !== undefined && typeof options.fleet === 'object'
      ? await openFleetFile(options.fleet.file, desk, log)
      : undefined;
  const server = createHttpServer(options.tls);
  const streams = createStreamServer(server, service);
  const snapshot = (): MetricsSnapshot => {
    const all = [...hosts.values()];
    return metrics.snapshot({
      activeRequests: service.activeRequests,
      connections: streams.connections,
      waiting: all.reduce((sum, host) => sum + host.waiting, 0),
      loadedSegments: all.reduce((sum, host) => sum + host.loadedSegments, 0),
      openLanes: service.openLanes,
      stateBytes: service.stateBytes,
    });
  };
  const { staticDir } = options;
  server.on(
    'request',
    createRouter({
      service,
      packages,
      metrics: snapshot,
      ...(staticDir === undefined ? {} : { staticDir }),
      ...(desk === undefined ? {} : { desk }),
    }),
  );
  const address = await listen(server, options.host ?? '127.0.0.1', options.port ?? 0).catch(
    async (error: unknown) => {
      await file?.close();
      throw error;
    },
  );
  if (options.warm ?? true) {
    for (const host of hosts.values()) warm(host, options.rehearse ?? true, log);
    for (const { words } of packages.values()) warmWords(words, log);
  }
  // Running out of file descriptors, say: connections are lost then, not the process.
  server.on('error', (error) => log(`the server failed: ${error.message}`));
  let closing: Promise<void> | undefined;

  const stop = async (graceMs: number): Promise<void> => {
    service.stopAdmitting();
    const closed = new Promise((resolve) => server.close(resolve));
    await within(graceMs, service.idle());
    service.stopOpenRequests();
    // Each frees its state and says its last word once the step that it is in has ended.
    await service.idle();
    await streams.close();
    server.closeAllConnections();
    await closed;
    await file?.close();
    await Promise.all([...hosts.values()].map((host) => host.close()));
  };

  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${hostOf(address)}:${address.port}`,
    port: address.port,
    get activeRequests() {
      return service.activeRequests;
    },
    get openLanes() {
      return service.openLanes;
    },
    metrics: snapshot,
    close: ({ graceMs = limits.DEFAULT_GRACE_MS } = {}) => {
      closing ??= stop(graceMs);
      return closing;
    },
  };
}

/** The first client is not to wait until the tokenizer is read. */
function warmWords(words: FarWords | undefined, log: (line: string) => void): void {
  words?.read([]).catch((error: unknown) => log(`words cannot be told: ${String(error)}`));
}

function byName(packages: readonly EndpointPackage[]): Map<string, EndpointPackage> {
  const map = new Map(packages.map((opened) => [opened.manifest.name, opened]));
  if (map.size === 0) throw new IsthmusError('bad-option', 'an endpoint needs at least one package');
  if (map.size < packages.length) throw new IsthmusError('bad-option', 'two packages have the same name');
  if (map.size > MAX_MODELS) {
    throw new IsthmusError('bad-option', `an endpoint serves at most ${MAX_MODELS} packages`);
  }
  return map;
}

/** By what identifies a package's contents: another model under the same name has another speed. */
async function deskFor(packages: ReadonlyMap<string, EndpointPackage>, clock: Clock): Promise<FleetDesk> {
  const models = new Map<string, string>();
  for (const [name, { manifest }] of packages) {
    models.set(name, await sha256Hex(new TextEncoder().encode(JSON.stringify(manifest.files))));
  }
  return new FleetDesk({ models, epoch: () => clock.epoch(), random: Math.random });
}

/** Behind the first requests, which join what is being built. A failure shows again when one asks. */
function warm(host: ModelHost, isRehearsed: boolean, log: (line: string) => void): void {
  const ready = isRehearsed ? host.warm().then(() => host.rehearse()) : host.warm();
  ready.catch((error: unknown) => {
    if (isIsthmusError(error) && error.code === 'closed') return;
    log(
      `${host.manifest.name}: could not be made ready: ${error instanceof Error ? error.message : String(error)}`,
    );
  });
}

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new IsthmusError('bad-option', `${name} must be a whole number above 0, not ${value}`);
}

function defaultRunner(threads: number): CreateRunner {
  return (manifest, source) =>
    CAN_START_WORKER
      ? startWorkerRunner(manifest, source, { threads })
      : createPackageRunner(manifest, source, { threads });
}

function createHttpServer(tls: EndpointOptions['tls']): Server {
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

async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
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
function hostOf({ address }: AddressInfo): string {
  if (address === '0.0.0.0' || address === '::') return 'localhost';
  return address.includes(':') ? `[${address}]` : address;
}

/** Waits for `work` but no longer than `ms`. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}
