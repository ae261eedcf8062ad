/** What goes back and forth in one request, and what of its time the link took. */
import type { Clock } from '../core/clock.ts';
import type { TensorMap } from '../core/tensor.ts';
import type { LinkObservation } from '../link/estimator.ts';
import type { EndpointTiming, OutputMessage, TokensMessage } from '../protocol/messages.ts';
import type { EndpointRequest } from './endpoint-request.ts';

/** Times of what goes back and forth: what the link took is what neither end worked. */
export class Exchange {
  outputs: TensorMap = {};
  roundTrips = 0;
  linkMs = 0;
  readonly #clock: Clock;
  readonly #observe: (observation: LinkObservation) => void;
  #sentAt: number | undefined;
  #bytesBefore = 0;
  #bytes = 0;

  constructor(clock: Clock, observe: (observation: LinkObservation) => void) {
    this.#clock = clock;
    this.#observe = observe;
  }

  sent(request: EndpointRequest): void {
    const { bytesUp } = request.traffic();
    this.#bytes = bytesUp - this.#bytesBefore;
    this.#bytesBefore = bytesUp;
    this.#sentAt = this.#clock.now();
  }

  received(message: TokensMessage | OutputMessage | undefined): void {
    if (message?.type === 'output') {
      this.outputs = { ...message.tensors.once, ...message.tensors.step };
    }
    if (this.#sentAt === undefined) return;
    const ms = this.#clock.now() - this.#sentAt - workedMs(message?.timing);
    this.#sentAt = undefined;
    this.roundTrips += 1;
    this.linkMs += Math.max(0, ms);
    // An answer without times (an end at once) tells nothing of the link.
    if (message !== undefined && ms >= 0) {
      this.#observe({ kind: 'transfer', direction: 'up', bytes: this.#bytes, ms });
    }
  }
}

function workedMs(timing: EndpointTiming | undefined): number {
  return timing === undefined ? 0 : timing.queueMs + timing.computeMs + (timing.loadMs ?? 0);
}
