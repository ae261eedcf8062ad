/** Endpoint times of one request, step or call, all in ms. */
export interface EndpointTiming {
  /** Waiting for a turn. */
  readonly queueMs: number;
  /** Inside the runtime. */
  readonly computeMs: number;
  /** Building the sessions of a span that nobody asked for before; absent when they were there. */
  readonly loadMs?: number;
}
