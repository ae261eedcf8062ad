/** The server that runs spans: HTTP and WebSocket on one port, one runner for each package. */
import { type Clock, systemClock } from '../core/clock.ts';
import { IsthmusError, isIsthmusError } from '../errors.ts';
import { MAX_MODELS } from '../protocol/limits.ts';
import { createPackageRunner } from '../runtime/node/package-runner.ts';
import type { FarWords } from '../runtime/words.ts';
import { sha256Hex } from '../storage/sha256.ts';
import type { Endpoint, EndpointOptions, EndpointPackage } from './endpoint-types.ts';
import { FleetDesk } from './fleet-desk.ts';
import { openFleetFile } from './fleet-file.ts';
import { createHttpServer, hostOf, listen } from './http/listen.ts';
import { createRouter } from './http/router.ts';
import * as limits from './limits.ts';
import { Metrics, type MetricsSnapshot } from './metrics.ts';
import { type CreateRunner, ModelHost } from './model-host.ts';
import { Service } from './service.ts';
import { createStreamServer } from './stream/stream-server.ts';
import { CAN_START_WORKER, startWorkerRunner } from './worker/start-worker.ts';

export type { Endpoint, EndpointOptions, EndpointPackage } from './endpoint-types.ts';
export type { MetricsSnapshot } from './metrics.ts';
export type { CreateRunner } from './model-host.ts';

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

/** Waits for `work` but no longer than `ms`. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}
