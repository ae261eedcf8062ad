/**
 * What Isthmus as a player holds and has learned: the text's state, paces of both places, the link, what building
 * takes and how long answers are. From these, the situation that the session's own choice is asked about.
 */
import {
  estimateLink,
  type LinkObservation,
  type LinkState,
  NEW_LINK,
  observeLink,
} from '../../link/estimator.ts';
import { type Idleness, type Probe, planProbe } from '../../link/probe.ts';
import type { LinkEstimate } from '../../planner/types.ts';
import { FIRST_ROWS, likelyRoute } from '../../session/text/likely-route.ts';
import { Pace } from '../../session/text/pace.ts';
import type { Situation } from '../../session/text/predict-route.ts';
import type { PlaceName } from '../../session/text/route.ts';
import type { Random } from '../random.ts';
import { filled, type Held, nothingHeld } from './held.ts';
import { computeNoise } from './noise.ts';
import type { TextMoment, TextWorld } from './text-world.ts';
import { TripDrafts } from './trip-drafts.ts';
import type { Truth } from './truth.ts';

/** As the session's engine has them (`session/text/engine.ts`). */
const USUAL_TOKENS = 128;
const USUAL_RATE = 0.3;

/** As `session/text/device-blocks.ts` learns what building takes. */
const BUILD_PRIOR_MS_PER_BYTE = 1e-5;
const BUILD_RATE = 0.3;

export class PlayerState {
  readonly world: TextWorld;
  readonly random: Random;
  readonly paces: { readonly [place in PlaceName]: Pace };
  readonly drafts: TripDrafts;
  held: Held;
  #link: LinkState = NEW_LINK;
  /** Ms since the session was opened, when the link was last asked about. */
  #now = 0;
  #usual = USUAL_TOKENS;
  /** Rows that the latest text lacked where it began. */
  #rows = FIRST_ROWS;
  #buildMsPerByte = BUILD_PRIOR_MS_PER_BYTE;

  constructor(world: TextWorld, random: Random) {
    this.world = world;
    this.random = random;
    const { manifest } = world;
    const blocks = manifest.blocks.length;
    this.held = nothingHeld(blocks);
    this.paces = { device: new Pace(manifest), endpoint: new Pace(manifest, 1 / 2) };
    this.drafts = new TripDrafts({ rttMs: () => this.link().rttMs, paces: this.paces, blocks }, random);
  }

  link(): LinkEstimate {
    return estimateLink(this.#link, this.#now);
  }

  planProbe(idleness: Idleness, at: number): Probe | undefined {
    this.#now = at;
    return planProbe(this.#link, idleness, at);
  }

  learnLink(seen: LinkObservation, at: number): void {
    this.#link = observeLink(this.#link, seen, at);
  }

  noteBegin(rows: number): void {
    this.#rows = rows;
  }

  learnAnswer(moment: TextMoment): void {
    const { tokens } = moment;
    this.drafts.follow(moment, tokens);
    this.#usual += USUAL_RATE * (tokens - this.#usual);
  }

  /** Builds what it lacks of blocks `0..to-1`; the ms that it took. */
  build(truth: Truth, to: number): number {
    const bytes = this.#unbuiltBytes(to);
    if (bytes === 0) return 0;
    const ms = truth.buildMs(this.held.built, to);
    this.#buildMsPerByte += BUILD_RATE * ((ms * computeNoise(this.random)) / bytes - this.#buildMsPerByte);
    this.held = { ...this.held, built: to };
    return ms;
  }

  /** Before a text comes: what it would run here if all that is here were built (`session/text/text-side.ts`). */
  buildLikely(truth: Truth): void {
    const situation = this.situation(truth, 0, truth.moment.length, Infinity);
    const [leg] = likelyRoute(situation, this.#rows)?.legs ?? [];
    if (leg?.place === 'device') this.build(truth, leg.span.to);
  }

  /**
   * @param offset ms since the request began
   * @param length positions of the text by now
   * @param most tokens that may still come
   */
  situation(truth: Truth, offset: number, length: number, most: number): Situation {
    const { manifest, goal } = this.world;
    const { moment } = truth;
    this.#now = moment.at + offset;
    this.drafts.follow(moment, length - moment.length);
    return {
      manifest,
      paces: this.paces,
      link: this.link(),
      hasEndpoint: moment.isUp,
      canFetch: moment.isUp,
      missingBytes: ({ span }) => this.#missingBytes(truth, offset, span.to),
      buildMs: ({ span }) => this.#unbuiltBytes(span.to) * this.#buildMsPerByte,
      lacking: ({ place, span }) => length - filled(this.held[place], span),
      newTokens: Math.max(1, Math.min(most, Math.round(this.#usual))),
      trips: this.drafts.trips(),
      goal,
    };
  }

  #missingBytes(truth: Truth, offset: number, to: number): number {
    const at = truth.landsAt(to);
    if (at <= offset) return 0;
    if (at === Infinity) return Math.max(1, this.#unbuiltBytes(to));
    return ((at - offset) * truth.moment.link.downBytesPerSecond) / 1000;
  }

  #unbuiltBytes(to: number): number {
    return this.world.manifest.blocks
      .slice(this.held.built, to)
      .reduce((sum, one) => sum + one.weightBytes, 0);
  }
}
