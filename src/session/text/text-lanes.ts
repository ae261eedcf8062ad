/** The lanes of an engine's texts: what they hold of the text before, and what is left of it for the next one. */
import type { InTurn } from '../../runtime/in-turn.ts';
import { climbTo } from './climb.ts';
import type { TextPlaces } from './engine-types.ts';
import { HeldLane } from './held-lane.ts';
import type { PlaceName, Route } from './route.ts';

export class TextLanes {
  /** Those of the present text; a move replaces them all at once. */
  all: { [place in PlaceName]?: HeldLane } = {};
  readonly #places: TextPlaces;
  readonly #beside: InTurn;
  /** Lanes that earlier texts have left, and what they had answered: what they stood on may be gone without a word. */
  #left: ReadonlyMap<HeldLane, number> = new Map();
  /** The text that the lanes hold a beginning of. */
  #held: readonly number[] = [];

  /** @param beside for what runs on the device beside texts */
  constructor(places: TextPlaces, beside: InTurn) {
    this.#places = places;
    this.#beside = beside;
  }

  /** A text begins. Resolves with how many of its tokens no place has to run again. */
  async begin(tokens: readonly number[]): Promise<number> {
    await this.#dropOver();
    const reused = this.#keepCommon(tokens);
    this.#held = tokens;
    return reused;
  }

  async open(place: PlaceName, signal: AbortSignal | undefined): Promise<HeldLane> {
    const lane = await this.#places.openLane(place, signal);
    const { blocks } = this.#places.manifest;
    return place === 'device'
      ? new HeldLane(lane, blocks.length, this.#beside)
      : new HeldLane(lane, blocks.length);
  }

  /** Whether an earlier text left it, and this one has had nothing from it. */
  isUnused(lane: HeldLane): boolean {
    return this.#left.get(lane) === lane.answers;
  }

  /** Brings up blocks that an earlier answer has left behind others, where that takes less than its tokens would. */
  async climb(
    { legs: [first] }: Route,
    tokens: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const lane = this.all.device;
    if (first?.place !== 'device' || lane === undefined || lane.kept.bytes === 0) return;
    await climbTo(lane, { end: first.span.to, upTo: tokens.length - 1, tokens }, signal);
  }

  /** The place's lane is of no use any more. */
  async drop(place: PlaceName): Promise<void> {
    const lane = this.all[place];
    delete this.all[place];
    await lane?.close().catch(() => undefined);
  }

  /** Others take over, of which some may be the same. */
  async replace(lanes: { readonly [place in PlaceName]?: HeldLane }): Promise<void> {
    const before = this.all;
    this.all = { ...lanes };
    for (const place of ['device', 'endpoint'] as const) {
      const old = before[place];
      if (old !== undefined && old !== this.all[place]) await old.close().catch(() => undefined);
    }
  }

  /** Frees them; the next text begins anew. */
  async close(): Promise<void> {
    this.#held = [];
    await this.replace({});
  }

  /** A lane that went with its connection, between two texts, holds nothing; the next one is on the new connection. */
  async #dropOver(): Promise<void> {
    for (const place of ['device', 'endpoint'] as const) {
      if (this.all[place]?.isOver === true) await this.drop(place);
    }
    this.#left = new Map(Object.values(this.all).map((lane) => [lane, lane.answers]));
  }

  /** Cuts the lanes back to what the new text has in common with the held one. */
  #keepCommon(tokens: readonly number[]): number {
    let common = 0;
    while (common < tokens.length && tokens[common] === this.#held[common]) common += 1;
    for (const lane of Object.values(this.all)) lane.rewind(common);
    const blocks = { from: 0, to: this.#places.manifest.blocks.length };
    // A text may be held by halves: what is reused is what no place has to run again.
    const held = Object.values(this.all).map((lane) => lane.filled(blocks));
    return Math.min(tokens.length - 1, Math.max(0, ...held));
  }
}
