/** Sessions for tests: a device in this process, a real endpoint on the loopback, and a wire that is watched. */
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { createEndpoint, type Endpoint, type EndpointOptions } from '../../src/endpoint/endpoint.ts';
import type { Manifest } from '../../src/package/manifest.ts';
import type { OpenedPackage } from '../../src/package/node/open-package.ts';
import { createNodeRunner } from '../../src/runtime/node/ort-node.ts';
import type { ExecutionProvider, RunRequest, SpanRunner } from '../../src/runtime/runner.ts';
import { type OpenOptions, openSession, type SessionParts } from '../../src/session/session.ts';
import type { Session, SessionEvent } from '../../src/session/types.ts';
import { createMemoryJsonStore, type JsonStore } from '../../src/storage/json-store.ts';
import type { Connect } from '../../src/transport/transport.ts';
import { connectWebSocket } from '../../src/transport/websocket.ts';
import { DeviceFiles, NodeDevice, type NodeDeviceOptions } from '../fixtures/node-device.ts';

/** What passed the wire, counted apart from the library. */
export class Wire {
  connections = 0;
  framesUp = 0;
  framesDown = 0;
  bytesUp = 0;
  bytesDown = 0;
  readonly #sockets = new Set<WebSocket>();

  /** Connects to the endpoint at `port()`, whichever is there at that time. */
  connect(port: () => number): Connect {
    const sockets = this.#sockets;
    class Watched extends WebSocket {
      constructor(url: string) {
        super(url, { perMessageDeflate: false });
        sockets.add(this);
        this.on('close', () => sockets.delete(this));
      }
    }
    return async (options) => {
      this.connections += 1;
      const url = `http://127.0.0.1:${port()}/v2/stream`;
      const connection = await connectWebSocket(url, { WebSocket: Watched as never })(options);
      return {
        get buffered() {
          return connection.buffered;
        },
        send: (frame) => {
          connection.send(frame);
          this.framesUp += 1;
          this.bytesUp += frame.byteLength;
        },
        onFrame: (handler) =>
          connection.onFrame((frame) => {
            this.framesDown += 1;
            this.bytesDown += frame.byteLength;
            handler(frame);
          }),
        onClose: (handler) => connection.onClose(handler),
        close: () => connection.close(),
      };
    };
  }

  /** As when the network goes: no goodbye, nothing more arrives. */
  cut(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  get totals() {
    const { connections, framesUp, framesDown, bytesUp, bytesDown } = this;
    return { connections, framesUp, framesDown, bytesUp, bytesDown };
  }
}

/** A runner for an endpoint with something awaited before each run of a loop's step. */
export function paced(beforeStep: (request: RunRequest) => Promise<void>) {
  return (manifest: Manifest, source: OpenedPackage['source']): SpanRunner => {
    const runner = createNodeRunner(manifest, source);
    return {
      provider: runner.provider,
      threads: runner.threads,
      load: (segment, options) => runner.load(segment, options),
      unload: (segment) => runner.unload(segment),
      openState: () => runner.openState(),
      closeState: (state) => runner.closeState(state),
      run: async (request) => {
        if (request.phase === 'step') await beforeStep(request);
        return runner.run(request);
      },
      close: () => runner.close(),
    };
  };
}

export async function startEndpoint(
  pkg: OpenedPackage,
  options: Partial<EndpointOptions> = {},
): Promise<Endpoint> {
  const endpoint = await createEndpoint({ packages: [pkg], rehearse: false, ...options });
  onTestFinished(() => endpoint.close({ graceMs: 0 }));
  return endpoint;
}

export interface Setup extends OpenOptions {
  /** Port to connect to; without one the session has no endpoint. */
  readonly port?: number | (() => number);
  /** Replaces the connection over `port`. */
  readonly connect?: Connect;
  readonly files?: DeviceFiles;
  readonly device?: NodeDeviceOptions;
  readonly store?: JsonStore;
  readonly clock?: Clock;
  readonly rivals?: readonly ExecutionProvider[];
  readonly startRunner?: (provider: ExecutionProvider) => Promise<NodeDevice>;
  readonly weightsElsewhere?: boolean;
  readonly parts?: Partial<SessionParts>;
}

export interface Opened {
  readonly session: Session;
  readonly wire: Wire;
  readonly files: DeviceFiles;
  /** All runners that were started, the first one first. */
  readonly devices: NodeDevice[];
  readonly events: SessionEvent[];
  /** Resolves with the first event, past or to come, that fits. */
  seen(fits: (event: SessionEvent) => boolean): Promise<SessionEvent>;
}

/** Weights are here and nothing is fetched behind the test's back, unless the setup says so. */
export async function open(pkg: OpenedPackage, setup: Setup = {}): Promise<Opened> {
  const { port, device, store, clock, rivals, startRunner, weightsElsewhere, parts, ...options } = setup;
  const files = setup.files ?? new DeviceFiles(pkg);
  const wire = new Wire();
  const devices: NodeDevice[] = [];
  const start = async (provider: ExecutionProvider): Promise<NodeDevice> => {
    const made = (await startRunner?.(provider)) ?? new NodeDevice(files, { ...device, provider });
    devices.push(made);
    return made;
  };
  const events: SessionEvent[] = [];
  const watchers = new Set<(event: SessionEvent) => void>();
  const connect = setup.connect ?? (port === undefined ? undefined : wire.connect(portOf(port)));
  const runner = new NodeDevice(files, device);
  devices.push(runner);
  const session = await openSession(
    {
      manifest: pkg.manifest,
      modelId: pkg.manifest.name,
      runner,
      startRunner: start,
      rivals: async () => rivals ?? [],
      ...(connect === undefined ? {} : { connect }),
      weightsElsewhere: weightsElsewhere ?? false,
      profiles: unclosed(store ?? createMemoryJsonStore()),
      clock: clock ?? systemClock,
      agent: 'test',
      ...parts,
    },
    {
      prefetch: false,
      ...options,
      onEvent: (event) => {
        events.push(event);
        for (const watcher of [...watchers]) watcher(event);
        options.onEvent?.(event);
      },
    },
  );
  onTestFinished(() => session.close());
  const seen: Opened['seen'] = (fits) => {
    const past = events.find(fits);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve) => {
      const watcher = (event: SessionEvent): void => {
        if (!fits(event)) return;
        watchers.delete(watcher);
        resolve(event);
      };
      watchers.add(watcher);
    });
  };
  return { session, wire, files, devices, events, seen };
}

/** Sessions close their store; tests look into it afterwards, and open another session on it. */
function unclosed(store: JsonStore): JsonStore {
  return {
    get: (key) => store.get(key),
    set: (key, value) => store.set(key, value),
    delete: (key) => store.delete(key),
    close: async () => undefined,
  };
}

function portOf(port: number | (() => number)): () => number {
  return typeof port === 'number' ? () => port : port;
}

export const isUp = (event: SessionEvent): boolean => event.type === 'endpoint' && event.state === 'up';
export const isDown = (event: SessionEvent): boolean => event.type === 'endpoint' && event.state === 'down';

/** What a promise rejects with; fails when it does not. */
export async function rejection(work: Promise<unknown>): Promise<unknown> {
  const [result] = await Promise.allSettled([work]);
  if (result.status === 'fulfilled') throw new Error('it was expected to fail');
  return result.reason;
}

/** Turns of the event loop until something holds; bounded by the test's own time limit alone. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
