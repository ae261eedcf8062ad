/** Watches, beside a running text, for a better plan or one that was asked for, and prepares the move. */
import type { Sampling } from '../../core/sampling.ts';
import { IsthmusError, isIsthmusError } from '../../errors.ts';
import type { HeldLane } from './held-lane.ts';
import type { LaneSet } from './lane-set.ts';
import { type MoveCosts, type PreparedMove, prepareMove } from './move.ts';
import type { Leg, PlaceName, Route } from './route.ts';
import type { TextPlan } from './types.ts';

export interface Target {
  readonly route: Route;
  readonly reason: string;
}

export interface Move extends Target {
  readonly prepared: PreparedMove;
  /** Whether its lanes are in use now; else they are to be closed. */
  taken: boolean;
}

export interface Watch {
  readonly current: Route;
  readonly lanes: LaneSet;
  /** The text; it grows meanwhile. */
  readonly tokens: readonly number[];
  readonly places: {
    ready(leg: Leg, signal?: AbortSignal): Promise<void>;
    changed(signal: AbortSignal): Promise<void>;
  };
  readonly costs: MoveCosts;
  readonly sampling: Sampling;
  readonly open: (place: PlaceName) => Promise<HeldLane>;
  readonly better: () => Target | undefined;
  /** What can be done now for moves to come, until it is told to stop. What it fails at is told by the move that needs it. */
  readonly ahead: (stop: AbortSignal) => Promise<void>;
  /** Throws for a plan that may not run. */
  readonly asked: (plan: Exclude<TextPlan, 'auto'>) => Route;
  /** The period is over. */
  readonly over: AbortSignal;
}

interface Asked {
  readonly plan: Exclude<TextPlan, 'auto'>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Mover {
  #asked: Asked | undefined;
  #wake: () => void = () => undefined;

  /** Resolves when the plan is about to take over; rejects when it could not be made ready, or was replaced. */
  ask(plan: Exclude<TextPlan, 'auto'>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#asked?.reject(new IsthmusError('aborted', 'another plan was asked for meanwhile'));
      this.#asked = { plan, resolve, reject };
      this.#wake();
    });
  }

  /** Has the watch look again, if it waits. */
  nudge(): void {
    this.#wake();
  }

  /** The route that was asked for before a text began; a wish that `route` refuses is told so, and is none. */
  takeAsked(route: (plan: Exclude<TextPlan, 'auto'>) => Route): Route | undefined {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked === undefined) return undefined;
    try {
      const taken = route(asked.plan);
      asked.resolve();
      return taken;
    } catch (error) {
      asked.reject(error);
      return undefined;
    }
  }

  /** Resolves with a prepared move, or `undefined` when the period is over without one. Never rejects. */
  async look(watch: Watch): Promise<Move | undefined> {
    const { over } = watch;
    const ended = new Promise<void>((resolve) => {
      if (over.aborted) resolve();
      over.addEventListener('abort', () => resolve(), { once: true });
    });
    while (!over.aborted) {
      const asked = this.#asked;
      this.#asked = undefined;
      try {
        const target =
          asked === undefined ? watch.better() : { route: watch.asked(asked.plan), reason: 'asked for' };
        if (target !== undefined && target.route.id !== watch.current.id) {
          const move = await this.#prepare(watch, target);
          asked?.resolve();
          return move;
        }
        asked?.resolve();
      } catch (error) {
        if (over.aborted && asked !== undefined && this.#asked === undefined) {
          // The period ended first; the next one may take it up.
          this.#asked = asked;
          return undefined;
        }
        asked?.reject(error);
        // The text goes on where it is; what failed is tried again when something changes.
        if (!isIsthmusError(error)) return undefined;
      }
      if (over.aborted) return undefined;
      await this.#change(watch, ended);
    }
    return undefined;
  }

  async #prepare(watch: Watch, target: Target): Promise<Move> {
    for (const leg of target.route.legs) await watch.places.ready(leg, watch.over);
    const prepared = await prepareMove({
      current: watch.current,
      target: target.route,
      lanes: watch.lanes,
      tokens: watch.tokens,
      costs: watch.costs,
      sampling: watch.sampling,
      openLane: watch.open,
      signal: watch.over,
    });
    return { ...target, prepared, taken: false };
  }

  async #change({ places, ahead, over }: Watch, ended: Promise<void>): Promise<void> {
    const asked = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#asked !== undefined) return;
    const seen = new AbortController();
    const done = ahead(seen.signal);
    // Heard below, unless the period is over.
    done.catch(() => undefined);
    try {
      await Promise.race([places.changed(seen.signal).catch(() => ended), asked, ended]);
    } finally {
      seen.abort();
    }
    // An answer that has ended waits for nothing.
    if (!over.aborted) await done;
  }
}
