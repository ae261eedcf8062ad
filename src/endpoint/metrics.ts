/** What the endpoint counts, and its text for Prometheus. Counters only grow; gauges are read when asked. */
import type { ErrorCode } from '../errors.ts';
import type { DoneMessage, EndpointTiming } from '../protocol/messages.ts';

/** A call on a lane counts as one request of the kind `lane`. */
export type RequestKind = 'stream' | 'infer' | 'lane';

/** What a call on a lane was. */
export type LaneOutcome = 'forward' | 'loop' | 'read-state' | 'write-state';

/** A report that was counted or not; a question that was answered with a prior or could not be. */
export type FleetOutcome = 'report' | 'refused' | 'prior' | 'no-prior';

export interface MetricsSnapshot {
  readonly requests: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly tokens: number;
  /** Run through lanes; the picks of a loop among them. */
  readonly rows: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly computeMs: number;
  readonly queueMs: number;
  /** Reports of devices and questions about a class, by what became of them. */
  readonly fleet: Readonly<Record<string, number>>;
  readonly activeRequests: number;
  readonly connections: number;
  readonly waiting: number;
  readonly loadedSegments: number;
  readonly openLanes: number;
  /** Of all lanes, as reckoned from the manifests. */
  readonly stateBytes: number;
}

export type Gauges = Pick<
  MetricsSnapshot,
  'activeRequests' | 'connections' | 'waiting' | 'loadedSegments' | 'openLanes' | 'stateBytes'
>;

export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #errors = new Map<string, number>();
  readonly #fleet = new Map<string, number>();
  #tokens = 0;
  #rows = 0;
  #receivedBytes = 0;
  #sentBytes = 0;
  #computeMs = 0;
  #queueMs = 0;

  /** A request that ended well, or because the client cancelled it. */
  ended(kind: RequestKind, reason: DoneMessage['reason'] | LaneOutcome): void {
    add(this.#requests, `${kind}:${reason}`);
  }

  failed(kind: RequestKind, code: ErrorCode): void {
    add(this.#requests, `${kind}:error`);
    this.error(code);
  }

  /** A fault that belongs to no request. */
  error(code: ErrorCode): void {
    add(this.#errors, code);
  }

  fleet(outcome: FleetOutcome): void {
    add(this.#fleet, outcome);
  }

  tokens(count: number): void {
    this.#tokens += count;
  }

  rows(count: number): void {
    this.#rows += count;
  }

  received(bytes: number): void {
    this.#receivedBytes += bytes;
  }

  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  worked({ computeMs, queueMs }: EndpointTiming): void {
    this.#computeMs += computeMs;
    this.#queueMs += queueMs;
  }

  snapshot(gauges: Gauges): MetricsSnapshot {
    return {
      requests: Object.fromEntries(this.#requests),
      errors: Object.fromEntries(this.#errors),
      tokens: this.#tokens,
      rows: this.#rows,
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#sentBytes,
      computeMs: this.#computeMs,
      queueMs: this.#queueMs,
      fleet: Object.fromEntries(this.#fleet),
      ...gauges,
    };
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/**
 * The text exposition format, version 0.0.4. Labels are our own words, so nothing needs escaping.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function prometheusText(metrics: MetricsSnapshot): string {
  const requests = Object.entries(metrics.requests).map(([key, count]): Sample => {
    const [kind = '', outcome = ''] = key.split(':');
    return [`{kind="${kind}",outcome="${outcome}"}`, count];
  });
  const errors = Object.entries(metrics.errors).map(([code, count]): Sample => [`{code="${code}"}`, count]);
  const fleet = Object.entries(metrics.fleet).map(([outcome, count]): Sample => {
    return [`{outcome="${outcome}"}`, count];
  });
  return [
    family('requests_total', 'counter', 'Requests that ended, by how.', requests),
    family('errors_total', 'counter', 'Errors told to clients, by code.', errors),
    family('tokens_total', 'counter', 'Tokens made.', [['', metrics.tokens]]),
    family('rows_total', 'counter', 'Rows run through lanes.', [['', metrics.rows]]),
    family('received_bytes_total', 'counter', 'Bytes of frames and bodies received.', [
      ['', metrics.receivedBytes],
    ]),
    family('sent_bytes_total', 'counter', 'Bytes of frames and bodies sent.', [['', metrics.sentBytes]]),
    family('compute_ms_total', 'counter', 'Milliseconds inside the runtime.', [['', metrics.computeMs]]),
    family('queue_ms_total', 'counter', 'Milliseconds that requests waited for a turn.', [
      ['', metrics.queueMs],
    ]),
    family('fleet_total', 'counter', 'Reports of devices and questions about a class.', fleet),
    family('active_requests', 'gauge', 'Requests that are open.', [['', metrics.activeRequests]]),
    family('connections', 'gauge', 'WebSocket connections that are open.', [['', metrics.connections]]),
    family('waiting', 'gauge', 'Requests that wait for a turn.', [['', metrics.waiting]]),
    family('loaded_segments', 'gauge', 'Segments that have sessions in memory.', [
      ['', metrics.loadedSegments],
    ]),
    family('open_lanes', 'gauge', 'Lanes that are open.', [['', metrics.openLanes]]),
    family('state_bytes', 'gauge', 'Bytes of state in lanes, as reckoned.', [['', metrics.stateBytes]]),
  ].join('');
}

type Sample = readonly [labels: string, value: number];

function family(name: string, type: 'counter' | 'gauge', help: string, samples: readonly Sample[]): string {
  const full = `isthmus_${name}`;
  const lines = samples.map(([labels, value]) => `${full}${labels} ${value}`);
  return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...lines, ''].join('\n');
}
