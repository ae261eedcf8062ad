/** Where the time of a call on a lane went. */
import type { EndpointTiming } from '../protocol/messages.ts';

/** In ms, in all and since it was last told. */
export class Stopwatch {
  queueMs = 0;
  computeMs = 0;
  loadMs = 0;
  #told: Required<EndpointTiming> = { queueMs: 0, computeMs: 0, loadMs: 0 };

  total(): EndpointTiming {
    return { queueMs: this.queueMs, computeMs: this.computeMs, loadMs: this.loadMs };
  }

  /** Since this was last asked. */
  lap(): EndpointTiming {
    const { queueMs, computeMs, loadMs } = this;
    const told = this.#told;
    this.#told = { queueMs, computeMs, loadMs };
    return {
      queueMs: queueMs - told.queueMs,
      computeMs: computeMs - told.computeMs,
      ...(loadMs > told.loadMs ? { loadMs: loadMs - told.loadMs } : {}),
    };
  }
}
