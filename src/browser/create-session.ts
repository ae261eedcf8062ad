/** Puts a session together in a browser: worker, cache, WebSocket. */
import { systemClock } from '../core/clock.ts';
import { nextTask } from '../core/macrotask.ts';
import { IsthmusError } from '../errors.ts';
import { fetchManifestBytes } from '../package/manifest-bytes.ts';
import type { WebProvider } from '../runtime/browser/ort-web.ts';
import {
  openWorkerRunner,
  type WorkerRunner,
  type WorkerRunnerOptions,
} from '../runtime/browser/worker-runner.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import { openSession } from '../session/session.ts';
import type { SessionOptions } from '../session/types.ts';
import { openBrowserJsonStore } from '../storage/browser/json-store.ts';
import { sha256Hex } from '../storage/sha256.ts';
import { type TextSession, withText } from '../tasks/text/text-session.ts';
import { connectEarly } from '../transport/early.ts';
import { httpWords } from '../transport/http-words.ts';
import type { Connect } from '../transport/transport.ts';
import { connectWebSocket } from '../transport/websocket.ts';
import { fleetAccess } from './fleet-access.ts';

/** More threads than this rarely help models that fit a browser, and starve the page. */
const MAX_THREADS = 4;

const STREAM_PATH = '/v2/stream';

/**
 * Opens a session on the package at `packageUrl` (its folder or its manifest; relative URLs count from the
 * page). Resolves once a first plan can be made: with an endpoint that answers, as soon as it does. Runtime, weights
 * and the device's measurement then come behind the first requests. Without one this waits for the runtime, and for
 * a device that is new to be measured.
 *
 * Throws `bad-option`, `bad-package`, `endpoint-lost` (no manifest to be had), `no-provider` (nor an endpoint that
 * answers), `worker-lost`, `aborted`.
 */
export async function createSession(packageUrl: string, options: SessionOptions = {}): Promise<TextSession> {
  const url = absolute(packageUrl);
  const endpoint = options.endpoint === undefined ? new URL(url).origin : options.endpoint;
  const connect =
    endpoint === null
      ? undefined
      : connectWebSocket(streamUrl(endpoint), { WebSocket: globalThis.WebSocket });
  // Handshakes take round trips, and so do the worker's script and the manifest: all of them at once.
  const early = connect === undefined || options.plan === 'local' ? undefined : connectEarly(connect);
  const { signal } = options;
  const manifest = fetchManifestBytes(url, signal === undefined ? {} : { signal });
  // Told to the worker that waits for it.
  manifest.catch(() => undefined);
  try {
    return await open(url, endpoint, early?.connect ?? connect, manifest, options);
  } catch (error) {
    early?.abandon();
    throw error;
  }
}

async function open(
  url: string,
  endpoint: string | null,
  connect: Connect | undefined,
  bytes: Promise<Uint8Array<ArrayBuffer>>,
  options: SessionOptions,
): Promise<TextSession> {
  const threads = threadCount(options.threads);
  const createWorker = options.createWorker ?? defaultWorker;
  const { signal } = options;
  const start = (provider: WebProvider, more: WorkerRunnerOptions = {}): Promise<WorkerRunner> =>
    openWorkerRunner(
      createWorker(),
      {
        packageUrl: url,
        provider,
        threads,
        ...(options.wasmPaths === undefined ? {} : { wasmPaths: absolute(options.wasmPaths) }),
      },
      { ...(signal === undefined ? {} : { signal }), ...more },
    );
  const first: WebProvider = options.provider === 'webgpu' ? 'webgpu' : 'wasm';
  // A socket and a request above, a worker, a database: each is some ms of calls into the browser, at once they were 20.
  await nextTask();
  const starting = start(first, { manifest: bytes });
  // Told below; so are profiles, which a worker that does not come may be told before.
  starting.catch(() => undefined);
  await nextTask();
  const profiles = openBrowserJsonStore();
  profiles.catch(() => undefined);
  const runner = await starting;
  const { manifest } = runner.opened;
  // What the worker's message brought and what is made of it held the page for 9 ms at once, on slow cores for 28.
  await nextTask();
  const session = await openSession(
    {
      manifest,
      modelId: await sha256Hex(new TextEncoder().encode(JSON.stringify(manifest.files))),
      runner,
      startRunner: (provider) => start(webProvider(provider)),
      rivals: async () => ((options.provider ?? 'auto') === 'auto' && (await hasGpu()) ? ['webgpu'] : []),
      ...(endpoint === null || connect === undefined
        ? {}
        : {
            connect,
            farWords: httpWords(absolute(endpoint), manifest.name, (...args) => fetch(...args)),
          }),
      weightsElsewhere: endpoint === null || new URL(absolute(endpoint)).origin !== new URL(url).origin,
      profiles: await profiles,
      clock: systemClock,
      agent: navigator.userAgent,
      ...(endpoint === null || options.shareExperience !== true
        ? {}
        : { fleet: fleetAccess(absolute(endpoint), runner.threads) }),
    },
    options,
  );
  return withText(session);
}

function absolute(url: string): string {
  try {
    return new URL(url, globalThis.document?.baseURI).href;
  } catch (error) {
    throw new IsthmusError('bad-option', `'${url}' is not a URL`, { cause: error });
  }
}

function streamUrl(endpoint: string): string {
  const url = new URL(absolute(endpoint));
  url.pathname = `${url.pathname.replace(/\/$/, '')}${STREAM_PATH}`;
  return url.href;
}

function threadCount(wanted: number | undefined): number {
  if (wanted === undefined) {
    return Math.max(1, Math.min(MAX_THREADS, Math.floor((navigator.hardwareConcurrency || 2) / 2)));
  }
  if (!Number.isInteger(wanted) || wanted < 1) {
    throw new IsthmusError('bad-option', `threads takes a whole number from 1 on, not ${wanted}`);
  }
  return wanted;
}

function webProvider(provider: ExecutionProvider): WebProvider {
  if (provider === 'cpu') throw new IsthmusError('no-provider', 'a browser has no native provider');
  return provider;
}

/** An adapter that answers is only worth a measurement; what it is worth, the measurement says. */
async function hasGpu(): Promise<boolean> {
  try {
    return (await navigator.gpu?.requestAdapter()) != null;
  } catch {
    return false;
  }
}

function defaultWorker(): Worker {
  return new Worker(new URL('../../workers/runner-worker.js', import.meta.url), {
    type: 'module',
    name: 'isthmus',
  });
}
