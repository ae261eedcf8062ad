/** Lanes of a device and an endpoint in virtual time, with a line between that has a rate and a latency. */
import { throwIfAborted } from '../../../src/errors.ts';
import { InTurn } from '../../../src/runtime/in-turn.ts';
import type { ForwardRequest, ForwardResult, Lane } from '../../../src/runtime/lane.ts';
import { HeldLane } from '../../../src/session/text/held-lane.ts';
import type { RouteRun } from '../../../src/session/text/lane-set.ts';
import type { PlaceName } from '../../../src/session/text/route.ts';
import { orAborted } from '../../../src/session/waiting.ts';
import { FakeLane } from './fake-lane.ts';
import { VirtualTime } from './virtual-time.ts';

/** Ms a row and block at each place, ms a row on the line, ms of a round trip, ms of each call at a place. */
export interface Timing {
  readonly device: number;
  readonly endpoint: number;
  readonly up: number;
  readonly down: number;
  readonly rtt: number;
  readonly call: number;
}

export interface Seen {
  readonly place: PlaceName;
  readonly position: number;
  readonly from: number;
  readonly rows: number;
  readonly began: number;
  ended: number;
}

export class TimedWorld {
  readonly time = new VirtualTime();
  readonly seen: Seen[] = [];
  /** Rows of results that have left the device and are not answered. */
  flying = 0;
  mostFlying = 0;
  /** Called when a call of a place begins there; throws to fail it. */
  onCall: (place: PlaceName, request: ForwardRequest) => void = () => undefined;
  readonly lanes: { readonly [place in PlaceName]: HeldLane };
  readonly inner: { readonly [place in PlaceName]: FakeLane };

  constructor(blocks: number, timing: Timing) {
    const inner = { device: new FakeLane({ blocks }), endpoint: new FakeLane({ blocks }) };
    this.inner = inner;
    this.lanes = {
      device: new HeldLane(this.#device(inner.device, timing), blocks),
      endpoint: new HeldLane(this.#endpoint(inner.endpoint, timing), blocks),
    };
  }

  run(more: Partial<RouteRun> = {}): RouteRun {
    return { lanes: this.lanes, now: () => this.time.now(), ...more };
  }

  async #work(
    place: PlaceName,
    inner: Lane,
    request: ForwardRequest,
    timing: Timing,
  ): Promise<ForwardResult> {
    const { span, position, input } = request;
    const rows = rowsOf(request);
    const one: Seen = { place, position, from: span.from, rows, began: this.time.now(), ended: Infinity };
    this.seen.push(one);
    this.onCall(place, request);
    await this.time.wait(timing.call + rows * (span.to - span.from) * timing[place]);
    const result = await inner.forward({ ...request, input });
    one.ended = this.time.now();
    return result;
  }

  #device(inner: FakeLane, timing: Timing): Lane {
    const turn = new InTurn();
    return lane(inner, (request, signal) =>
      turn.do(async () => {
        throwIfAborted(signal);
        return this.#work('device', inner, request, timing);
      }),
    );
  }

  #endpoint(inner: FakeLane, timing: Timing): Lane {
    const up = new InTurn();
    const turn = new InTurn();
    const down = new InTurn();
    const crossing = async (request: ForwardRequest): Promise<ForwardResult> => {
      const rows = rowsOf(request);
      this.flying += rows;
      this.mostFlying = Math.max(this.mostFlying, this.flying);
      try {
        await up.do(() => this.time.wait(rows * timing.up));
        await this.time.wait(timing.rtt / 2);
        const result = await turn.do(() => this.#work('endpoint', inner, request, timing));
        const back = request.want.kind === 'crossing' ? rows : 0;
        await down.do(() => this.time.wait(back * timing.down));
        await this.time.wait(timing.rtt / 2);
        return result;
      } finally {
        this.flying -= rows;
      }
    };
    // As over a wire: an abort drops the answer, and what was sent is run.
    return lane(inner, (request, signal) => orAborted(crossing(request), signal));
  }
}

function rowsOf({ input }: ForwardRequest): number {
  return input.kind === 'tokens' ? input.tokens.length : input.rows;
}

function lane(
  inner: FakeLane,
  forward: (request: ForwardRequest, signal?: AbortSignal) => Promise<ForwardResult>,
): Lane {
  return {
    forward: (request, { signal } = {}) => forward(request, signal),
    loop: (request, options) => inner.loop(request, options),
    filled: (span) => inner.filled(span),
    readState: (span, from, to) => inner.readState(span, from, to),
    writeState: (span, from, tensors) => inner.writeState(span, from, tensors),
    close: () => inner.close(),
  };
}
