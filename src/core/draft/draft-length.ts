/**
 * How many tokens to propose per trip or pass: by what trips cost and how often proposals turned out right. Pure:
 * times are passed in, and nothing is drawn at random.
 */
import { bestDraftLength, type TripCost } from './draft-cost.ts';

/** What one draft is worth falls with each before it; beyond this many, none ever pays. */
export const MAX_DRAFTS = 32;

/** What an observation weighs after another one of the same place: about the last 40 count. */
const KEEP = 0.975;

/** Before anything is known: half of the proposals right, believed as much as two observations. */
const PRIOR = { rate: 0.5, weight: 2 };

/** How many observations of all places together weigh against a place's own. */
const POOL_WEIGHT = 6;

/** Trips without a draft after which one is tried, to see whether the text has become easier to guess. */
const PROBE_AFTER = 12;

/** Of the time without drafts, the part that wrong drafts may cost. */
const RISK = 0.025;

/** Trips' worth of time that may be lost before anything is gained; and that gains are saved up to. */
const START_TRIPS = 1;
const SAVED_TRIPS = 8;

interface Tally {
  right: number;
  seen: number;
}

export class DraftLength {
  readonly #most: number;
  readonly #places: Tally[];
  readonly #pool: Tally = { right: PRIOR.rate * PRIOR.weight, seen: PRIOR.weight };
  /** ms that drafts may still lose against doing without; unknown before the first trip's times. */
  #purse: number | undefined;
  #sinceDraft = 0;

  constructor(most: number = MAX_DRAFTS) {
    this.#most = Math.min(most, MAX_DRAFTS);
    this.#places = Array.from({ length: this.#most }, () => ({ right: 0, seen: 0 }));
  }

  /** Proposals for the next trip: 0 where they are not expected to pay. */
  next(cost: TripCost): number {
    const best = bestDraftLength(cost, this.#acceptance());
    let drafts = best === 0 && this.#sinceDraft >= PROBE_AFTER ? Math.min(1, this.#most) : best;
    const most = cost(0) + this.#purseOf(cost);
    while (drafts > 0 && cost(drafts) > most) drafts -= 1;
    return drafts;
  }

  /** What became of a trip with `proposed` tokens, which may be fewer than were asked for. */
  observe(cost: TripCost, proposed: number, accepted: number): void {
    this.#sinceDraft = proposed === 0 ? this.#sinceDraft + 1 : 0;
    this.#count(proposed, accepted);
    const alone = cost(0);
    const tokens = 1 + accepted;
    const gain = tokens * alone * (1 + RISK) - cost(proposed);
    this.#purse = Math.min(this.#purseOf(cost) + gain, SAVED_TRIPS * alone);
  }

  #purseOf(cost: TripCost): number {
    return this.#purse ?? START_TRIPS * cost(0);
  }

  #count(proposed: number, accepted: number): void {
    // Nothing is known of proposals behind the first wrong one.
    for (let place = 0; place < Math.min(proposed, accepted + 1); place += 1) {
      const right = place < accepted ? 1 : 0;
      for (const tally of [this.#places[place], this.#pool]) {
        if (tally === undefined) continue;
        tally.right = tally.right * KEEP + right;
        tally.seen = tally.seen * KEEP + 1;
      }
    }
  }

  #acceptance(): number[] {
    const rate = this.#pool.right / this.#pool.seen;
    return this.#places.map(({ right, seen }) => (right + rate * POOL_WEIGHT) / (seen + POOL_WEIGHT));
  }
}
