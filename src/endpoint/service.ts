/** What HTTP and WebSocket share: the models, how much is admitted, what is counted. */
import type { Clock } from '../core/clock.ts';
import { IsthmusError } from '../errors.ts';
import type { EndpointLoad } from '../protocol/endpoint-load.ts';
import { MAX_LOAD_MODELS } from '../protocol/limits.ts';
import type { FarWords } from '../runtime/words.ts';
import { LaneRegistry, type LaneSeat } from './lane-registry.ts';
import type { Metrics } from './metrics.ts';
import type { ModelHost } from './model-host.ts';

export interface ServiceLimits {
  readonly maxOpenRequests: number;
  readonly maxInputBytes: number;
  readonly idleRequestMs: number;
  readonly maxLanes: number;
  readonly maxStateBytes: number;
  readonly idleLaneMs: number;
}

/** Ends a request that is still open; called when the endpoint stops. */
export type StopRequest = (error: IsthmusError) => void;

export class Service {
  readonly hosts: ReadonlyMap<string, ModelHost>;
  /** Of the models whose words are told. */
  readonly words: ReadonlyMap<string, FarWords>;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly limits: ServiceLimits;
  readonly log: (line: string) => void;
  readonly #lanes: LaneRegistry;
  readonly #open = new Set<StopRequest>();
  readonly #whenIdle = new Set<() => void>();
  #stopping = false;

  constructor(options: Pick<Service, 'hosts' | 'words' | 'metrics' | 'clock' | 'limits' | 'log'>) {
    this.hosts = options.hosts;
    this.words = options.words;
    this.metrics = options.metrics;
    this.clock = options.clock;
    this.limits = options.limits;
    this.log = options.log;
    this.#lanes = new LaneRegistry(options.limits);
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  get activeRequests(): number {
    return this.#open.size;
  }

  get openLanes(): number {
    return this.#lanes.open;
  }

  get stateBytes(): number {
    return this.#lanes.stateBytes;
  }

  /** Of the first models; who serves more tells the others' in their answers. */
  load(): EndpointLoad {
    const told = [...this.hosts].slice(0, MAX_LOAD_MODELS);
    return Object.fromEntries(told.map(([name, host]) => [name, host.load()]));
  }

  /** Throws `unknown-model`. */
  host(name: string): ModelHost {
    const host = this.hosts.get(name);
    if (host !== undefined) return host;
    throw new IsthmusError('unknown-model', 'no model of that name is served here', {
      details: { models: [...this.hosts.keys()] },
    });
  }

  /** Throws `unknown-model`, and `unsupported-model` where nobody here reads the model's tokens. */
  wordsOf(name: string): FarWords {
    this.host(name);
    const words = this.words.get(name);
    if (words !== undefined) return words;
    throw new IsthmusError('unsupported-model', 'no words are told of this model here');
  }

  /**
   * Counts a request as open until the returned function is called.
   * Throws `endpoint-stopping`, or `limit-exceeded` when too many are open.
   */
  admit(stop: StopRequest): () => void {
    if (this.#stopping) throw stoppingError();
    const limit = this.limits.maxOpenRequests;
    if (this.#open.size >= limit) {
      throw new IsthmusError('limit-exceeded', `${limit} requests are open; try again later`, {
        details: { what: OPEN_REQUESTS, limit },
      });
    }
    return this.begin(stop);
  }

  /**
   * A seat for a lane. Between its calls it does not count as an open request, so that idle ones do not hold up
   * a stop; `stop` is called when that begins. Throws `endpoint-stopping`, `limit-exceeded`.
   */
  admitLane(stop: StopRequest): LaneSeat {
    if (this.#stopping) throw stoppingError();
    return this.#lanes.admit(stop);
  }

  /** Counts work of something that was admitted as open until the returned function is called. */
  begin(stop: StopRequest): () => void {
    this.#open.add(stop);
    return () => {
      this.#open.delete(stop);
      if (this.#open.size > 0) return;
      for (const resolve of this.#whenIdle) resolve();
      this.#whenIdle.clear();
    };
  }

  /** Takes nothing new from now on. */
  stopAdmitting(): void {
    this.#stopping = true;
    this.#lanes.stop(stoppingError());
  }

  stopOpenRequests(): void {
    for (const stop of [...this.#open]) stop(stoppingError());
  }

  /** Resolves when no request is open. */
  async idle(): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.add(resolve));
  }
}

/** `details.what` of the error of an endpoint that is full. */
export const OPEN_REQUESTS = 'open requests';

export function stoppingError(): IsthmusError {
  return new IsthmusError('endpoint-stopping', 'the endpoint is shutting down; connect again later');
}
