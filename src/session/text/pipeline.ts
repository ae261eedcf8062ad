/**
 * Pieces of a text through the legs of a route, several at once: each leg takes them in order, and while one is on
 * its way and runs at the far end the next is made at the near one. Calls to the endpoint are sent without waiting
 * for earlier answers; the device is given one call of a leg at a time, so that two legs there take turns.
 */
import { IsthmusError, throwIfAborted } from '../../errors.ts';
import { InTurn } from '../../runtime/in-turn.ts';
import type { ForwardResult, LaneInput, Want } from '../../runtime/lane.ts';
import { laneAt, type RouteRun } from './lane-set.ts';
import type { Leg, PlaceName } from './route.ts';

/** Positions `[from, to)` of the text, and how many of the route's legs they pass: the first ones. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly legs: number;
  /** Of the last of these legs. */
  readonly want: Want;
}

/**
 * Rows that have begun and are not through, more where one piece alone has more. 512 rows of width 4096 are 8 MiB
 * that may lie at a cut; a fast device makes no more in the time of a slow round trip.
 */
export const MAX_ROWS_IN_FLIGHT = 512;

/**
 * What the last piece yields. When a leg fails, or the signal fires, nothing more is begun; it throws that when all
 * that was under way has ended, so that the lanes' books tell exactly what is held.
 */
export async function passPieces(
  legs: readonly Leg[],
  pieces: readonly Piece[],
  run: RouteRun,
  tokens: readonly number[],
): Promise<ForwardResult> {
  const pipeline = new Pipeline(legs, run, tokens);
  for (const piece of pieces) {
    await pipeline.room(piece.to - piece.from);
    if (pipeline.hasFailed) break;
    pipeline.begin(piece);
  }
  return pipeline.end();
}

/** A call that was made; wrapped, so that waiting for it is not waiting for its answer. */
interface Made {
  readonly answer: Promise<ForwardResult>;
}

class Pipeline {
  readonly #legs: readonly Leg[];
  readonly #run: RouteRun;
  readonly #tokens: readonly number[];
  /** One for each leg. */
  readonly #turns: readonly InTurn[];
  /** One for each call: many listeners on one signal are taken for a leak. */
  readonly #aborts = new Set<AbortController>();
  readonly #underWay = new Set<{ readonly rows: number; readonly over: Promise<void> }>();
  /** When each place last answered. */
  readonly #heard: { [place in PlaceName]: number } = { device: -Infinity, endpoint: -Infinity };
  #failure: { readonly error: unknown } | undefined;
  #last: ForwardResult | undefined;

  constructor(legs: readonly Leg[], run: RouteRun, tokens: readonly number[]) {
    this.#legs = legs;
    this.#run = run;
    this.#tokens = tokens;
    this.#turns = legs.map(() => new InTurn());
    run.signal?.addEventListener('abort', this.#abort, { once: true });
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Resolves when so many rows more may be under way. */
  async room(rows: number): Promise<void> {
    for (;;) {
      const held = [...this.#underWay].reduce((sum, piece) => sum + piece.rows, 0);
      const [oldest] = this.#underWay;
      if (oldest === undefined || held + rows <= MAX_ROWS_IN_FLIGHT) return;
      await oldest.over;
    }
  }

  begin(piece: Piece): void {
    const rows = piece.to - piece.from;
    let input: Promise<LaneInput> = Promise.resolve({
      kind: 'tokens',
      tokens: this.#tokens.slice(piece.from, piece.to),
    });
    let answer: Promise<ForwardResult> | undefined;
    for (const [index, turn] of this.#turns.slice(0, piece.legs).entries()) {
      const given = input;
      const made = turn.do(async () => this.#call(index, piece, await given));
      answer = made.then((call) => call.answer);
      input = answer.then(({ tensors }) => ({ kind: 'tensors', tensors, rows }));
      // The next leg hears of a failure when it comes to this piece, which may be later.
      input.catch(() => undefined);
    }
    const over = Promise.resolve(answer).then(
      (result) => {
        this.#last = result;
      },
      () => undefined,
    );
    const entry = { rows, over };
    this.#underWay.add(entry);
    over.finally(() => this.#underWay.delete(entry));
  }

  async end(): Promise<ForwardResult> {
    await Promise.all([...this.#underWay].map(({ over }) => over));
    this.#run.signal?.removeEventListener('abort', this.#abort);
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#last === undefined) throw new IsthmusError('internal', 'a route without rows or legs');
    return this.#last;
  }

  readonly #abort = (): void => {
    for (const one of this.#aborts) one.abort(this.#run.signal?.reason);
  };

  /** To be called in the leg's turn. What was begun behind a failure could not stand on anything. */
  async #call(index: number, piece: Piece, input: LaneInput): Promise<Made> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const leg = this.#legs[index];
    if (leg === undefined) throw new IsthmusError('internal', `a route without a leg ${index}`);
    const answer = this.#forward(leg, piece, input, index + 1 === piece.legs);
    // Heard again by whoever takes it; here it must not be unheard.
    answer.catch(() => undefined);
    if (leg.place === 'device') await answer;
    return { answer };
  }

  async #forward(leg: Leg, piece: Piece, input: LaneInput, isLast: boolean): Promise<ForwardResult> {
    const { lanes, signal, now, onLeg } = this.#run;
    const { place, span } = leg;
    const abort = new AbortController();
    this.#aborts.add(abort);
    try {
      throwIfAborted(signal);
      const began = now();
      const result = await laneAt(lanes, place).forward(
        { span, position: piece.from, input, want: isLast ? piece.want : { kind: 'crossing' } },
        { signal: abort.signal },
      );
      const heard = now();
      // It waited for the one before it where that was answered later than this was asked.
      onLeg?.(leg, piece.to - piece.from, heard - Math.max(began, this.#heard[place]));
      this.#heard[place] = heard;
      return result;
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    } finally {
      this.#aborts.delete(abort);
    }
  }
}
