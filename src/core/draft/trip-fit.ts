/** What a trip costs by its rows, from trips that were made: a line through them, newer ones weighing more. */
import type { TripTimes } from './draft-cost.ts';

/** Weight of what is known when a trip is added: about the last 30 count. */
const KEEP = 0.97;

/** Rows of the two points that stand for what is expected before anything was seen. */
const FEW_ROWS = 1;
const MANY_ROWS = 9;

/** Weight of each of these points. */
const PRIOR_WEIGHT = 0.5;

export class TripFit {
  #n = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;

  /** @param expected ms of a trip with so many rows */
  constructor(expected: (rows: number) => number) {
    this.#add(FEW_ROWS, expected(FEW_ROWS), PRIOR_WEIGHT);
    this.#add(MANY_ROWS, expected(MANY_ROWS), PRIOR_WEIGHT);
  }

  learn(rows: number, ms: number): void {
    if (!Number.isFinite(ms) || ms < 0) return;
    this.#n *= KEEP;
    this.#x *= KEEP;
    this.#y *= KEEP;
    this.#xx *= KEEP;
    this.#xy *= KEEP;
    this.#add(rows, ms, 1);
  }

  /** The parts of a trip; none is below 0. */
  times(): TripTimes {
    const spread = this.#n * this.#xx - this.#x * this.#x;
    const slope = spread > 0 ? (this.#n * this.#xy - this.#x * this.#y) / spread : 0;
    const mean = this.#y / this.#n;
    const row = Math.min(Math.max(0, slope), (mean * this.#n) / Math.max(1, this.#x));
    return { roundTripMs: Math.max(0, mean - (row * this.#x) / this.#n), hereRowMs: row, thereRowMs: 0 };
  }

  #add(x: number, y: number, weight: number): void {
    this.#n += weight;
    this.#x += weight * x;
    this.#y += weight * y;
    this.#xx += weight * x * x;
    this.#xy += weight * x * y;
  }
}
