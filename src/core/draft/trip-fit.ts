/**
 * What a trip costs by its rows, from trips that were made: what trips with as many rows took lately, else a line
 * through all of them, newer ones weighing more. Kernels take rows in groups, so that a fourth may cost less than a third.
 */

/** Weight of what is known when a trip is added: about the last 30 count. */
const KEEP = 0.97;

/** Rows of the two points that stand for what is expected before anything was seen. */
const FEW_ROWS = 1;
const MANY_ROWS = 9;

/** Weight of each of these points. */
const PRIOR_WEIGHT = 0.5;

/** Weight of the latest trip among those with as many rows. */
const RATE = 0.2;

/** Trips with as many rows that tell more than the line does; fewer are in the line alone, and so are those of long ago. */
const TELLING = 1.5;

interface Seen {
  ms: number;
  /** Fades with every trip. */
  weight: number;
}

export class TripFit {
  #n = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;
  readonly #byRows = new Map<number, Seen>();

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
    for (const seen of this.#byRows.values()) seen.weight *= KEEP;
    const seen = this.#byRows.get(rows) ?? { ms, weight: 0 };
    seen.ms += (ms - seen.ms) * Math.max(RATE, 1 / (1 + seen.weight));
    seen.weight += 1;
    this.#byRows.set(rows, seen);
  }

  /** Ms of a trip with so many rows. */
  ms(rows: number): number {
    const seen = this.#byRows.get(rows);
    if (seen !== undefined && seen.weight >= TELLING) return seen.ms;
    const spread = this.#n * this.#xx - this.#x * this.#x;
    const slope = spread > 0 ? (this.#n * this.#xy - this.#x * this.#y) / spread : 0;
    const mean = this.#y / this.#n;
    const row = Math.min(Math.max(0, slope), (mean * this.#n) / Math.max(1, this.#x));
    return Math.max(0, mean - (row * this.#x) / this.#n) + rows * row;
  }

  #add(x: number, y: number, weight: number): void {
    this.#n += weight;
    this.#x += weight * x;
    this.#y += weight * y;
    this.#xx += weight * x * x;
    this.#xy += weight * x * y;
  }
}
