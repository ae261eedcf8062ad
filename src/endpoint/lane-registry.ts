/** How many lanes are open and how much state they may hold together. */
import { IsthmusError } from '../errors.ts';

/** One lane's place in the registry. */
export interface LaneSeat {
  /** The lane holds this many bytes from now on. Throws `limit-exceeded`; then it holds what it held. */
  hold(bytes: number): void;
  /** Frees the seat; safe to call twice. */
  leave(): void;
}

export class LaneRegistry {
  readonly #limits: { readonly maxLanes: number; readonly maxStateBytes: number };
  readonly #stops = new Set<(error: IsthmusError) => void>();
  #stateBytes = 0;

  constructor(limits: { readonly maxLanes: number; readonly maxStateBytes: number }) {
    this.#limits = limits;
  }

  get open(): number {
    return this.#stops.size;
  }

  get stateBytes(): number {
    return this.#stateBytes;
  }

  /** Throws `limit-exceeded`. */
  admit(stop: (error: IsthmusError) => void): LaneSeat {
    const { maxLanes, maxStateBytes } = this.#limits;
    if (this.#stops.size >= maxLanes) throw full('open lanes', maxLanes);
    this.#stops.add(stop);
    let held = 0;
    return {
      hold: (bytes) => {
        if (bytes > held && this.#stateBytes - held + bytes > maxStateBytes) {
          throw full('bytes of state', maxStateBytes);
        }
        this.#stateBytes += bytes - held;
        held = bytes;
      },
      leave: () => {
        if (!this.#stops.delete(stop)) return;
        this.#stateBytes -= held;
        held = 0;
      },
    };
  }

  stop(error: IsthmusError): void {
    for (const stop of [...this.#stops]) stop(error);
  }
}

function full(what: string, limit: number): IsthmusError {
  return new IsthmusError('limit-exceeded', `${what}: all ${limit} are taken; try again later`, {
    details: { what, limit },
  });
}
