/**
 * What routes really take for one request of a world, noise left out. Everything but how an answer is
 * guessed is in closed form, because the oracle asks for hundreds of routes at each request.
 */

import { expectedTokens } from '../../core/draft/draft-cost.ts';
import type { Span } from '../../core/span.ts';
import { rowBytes, stateRowBytes } from '../../session/text/crossing-bytes.ts';
import type { PlaceName, Route } from '../../session/text/route.ts';
import { type GuessedAnswer, guessAnswer } from './guessed-answer.ts';
import { filled, type Held } from './held.ts';
import type { TextMoment, TextWorld } from './text-world.ts';

/** Ms of waiting, and what of it either end worked. */
export interface Spent {
  readonly ms: number;
  readonly deviceMs: number;
  readonly endpointMs: number;
}

export const NOTHING: Spent = { ms: 0, deviceMs: 0, endpointMs: 0 };

export const MESSAGE_BYTES = 200;
const TOKEN_BYTES = 8;

/** Of what the first run takes too long, this share is left behind each call. */
const WARMING = 0.85;
/** A call with so many rows is half over before code is compiled well. */
const WARMING_ROWS = 16;

export class Truth {
  readonly world: TextWorld;
  readonly moment: TextMoment;
  readonly blocks: number;
  /** Ms from the request until blocks `0..k-1` are here; `Infinity` when they will not come. */
  readonly #landsAt: readonly number[];
  /** Bytes of a row at each cut; by drafts, tokens that a trip brings; by route, how an answer is guessed along it. */
  readonly #rowBytes: readonly number[];
  readonly #tripTokens = new Map<number, number>();
  readonly #guesses = new Map<string, GuessedAnswer>();

  constructor(world: TextWorld, moment: TextMoment) {
    this.world = world;
    this.moment = moment;
    this.blocks = world.manifest.blocks.length;
    this.#landsAt = landings(world, moment);
    const inside = Array.from({ length: this.blocks + 1 }, (_, cut) => rowBytes(world.manifest, cut));
    this.#rowBytes = inside.map((bytes, cut) => (cut === 0 || cut === this.blocks ? TOKEN_BYTES : bytes));
  }

  /** Ms from the request until all of the first `to` blocks are here. */
  landsAt(to: number): number {
    return this.#landsAt[to] ?? Infinity;
  }

  /** Whether the world lets it run at all. */
  canRun(route: Route): boolean {
    return route.legs.every(({ place, span }) =>
      place === 'endpoint' ? this.moment.isUp : this.landsAt(span.to) < Infinity,
    );
  }

  buildMs(built: number, to: number): number {
    const bytes = this.world.manifest.blocks.slice(built, to).reduce((sum, one) => sum + one.weightBytes, 0);
    return bytes * this.world.buildMsPerByte * this.moment.deviceFactor;
  }

  /** Ms from the request until a route's blocks can run, with nothing else to do before. */
  readyAt(route: Route, held: Held): number {
    const here = route.legs.find(({ place }) => place === 'device');
    if (here === undefined) return 0;
    return Math.max(0, this.landsAt(here.span.to)) + this.buildMs(held.built, here.span.to);
  }

  /** One call at a place: its work alone, the turn that it waits for apart. */
  work(place: PlaceName, span: Span, rows: number, context: number, picks: number, runs = Infinity): number {
    const { device, endpoint, firstRunFactor } = this.world;
    const { deviceFactor, endpointFactor } = this.moment;
    if (place === 'endpoint') return endpoint.call(span, rows, context, picks, endpointFactor);
    const late = (firstRunFactor - 1) * WARMING ** runs * (WARMING_ROWS / (WARMING_ROWS + rows - 1));
    return device.call(span, rows, context, picks, deviceFactor) * (1 + late);
  }

  /** Of one row between the blocks before a cut and those behind it. */
  bytesAt(cut: number): number {
    return this.#rowBytes[cut] ?? 0;
  }

  /** On the way to the endpoint's span and back. */
  linkMs({ from, to }: Span, rows: number, rowsDown = 1): number {
    const { link } = this.moment;
    const { tripOverheadMs } = this.world;
    const [up, down] = [this.bytesAt(from), this.bytesAt(to)];
    return (
      link.rttMs +
      tripOverheadMs +
      ((MESSAGE_BYTES + rows * up) / link.upBytesPerSecond +
        (MESSAGE_BYTES + rowsDown * down) / link.downBytesPerSecond) *
        1000
    );
  }

  /** Rows through all legs of a route. */
  pass(route: Route, rows: number, context: number, picks: number, runs = Infinity): Spent {
    let [ms, deviceMs, endpointMs] = [0, 0, 0];
    for (const { place, span } of route.legs) {
      const worked = this.work(place, span, rows, context, picks, runs);
      ms += worked;
      if (place === 'device') deviceMs += worked;
      else {
        ms += this.linkMs(span, rows) + this.moment.queueMs;
        endpointMs += worked;
      }
    }
    return { ms, deviceMs, endpointMs };
  }

  /** A pass of a place's own loop: nothing of it crosses the link but tokens, which come while it goes on. */
  loopPass(place: PlaceName, rows: number, context: number, runs = Infinity): Spent {
    const work = this.work(place, { from: 0, to: this.blocks }, rows, context, rows, runs);
    if (place === 'device') return { ms: work, deviceMs: work, endpointMs: 0 };
    return { ms: work + this.moment.queueMs, deviceMs: 0, endpointMs: work };
  }

  /** So many more tokens, the first of them behind `context` positions; guessed along as a session does. */
  tokens(route: Route, count: number, context: number, runs = Infinity): Spent {
    if (count <= 0) return NOTHING;
    const middle = context + (count - 1) / 2;
    const { passes, tokens } = this.#guessed(route);
    let all = NOTHING;
    let made = 0;
    for (const [drafts, share] of passes) {
      const often = (share * count) / tokens;
      all = plus(all, times(this.#trip(route, 1 + drafts, middle), often));
      made += often;
    }
    return plus(all, this.#late(route, all.ms / made, made, runs));
  }

  /** Copying the state of so many positions of a span. */
  copyMs(to: PlaceName, span: Span, rows: number): number {
    const { link } = this.moment;
    const rate = to === 'device' ? link.downBytesPerSecond : link.upBytesPerSecond;
    return link.rttMs + (1000 * stateRowBytes(this.world.manifest, span.from, span.to) * rows) / rate;
  }

  /** Tokens that a trip brings on the mean, where the text's past proposes so many. */
  tripTokens(drafts: number): number {
    const known = this.#tripTokens.get(drafts);
    if (known !== undefined) return known;
    const tokens = expectedTokens(Array(drafts).fill(this.moment.acceptance), drafts);
    this.#tripTokens.set(drafts, tokens);
    return tokens;
  }

  /** Of an answer as long as this moment's. */
  #guessed(route: Route): GuessedAnswer {
    const known = this.#guesses.get(route.id);
    if (known !== undefined) return known;
    const { length, tokens } = this.moment;
    const middle = length + tokens / 2;
    const guessed = guessAnswer(this.moment, tokens, (rows) => this.#trip(route, rows, middle).ms);
    this.#guesses.set(route.id, guessed);
    return guessed;
  }

  #trip(route: Route, rows: number, context: number): Spent {
    const [only] = route.legs;
    const isAlone = route.legs.length === 1 && only !== undefined;
    return isAlone ? this.loopPass(only.place, rows, context) : this.pass(route, rows, context, rows);
  }

  /** What so many passes of the device's loop take longer while its code is new. */
  #late({ legs: [only, ...others] }: Route, passMs: number, passes: number, runs: number): Spent {
    if (only?.place !== 'device' || others.length > 0) return NOTHING;
    const share = (WARMING ** runs - WARMING ** (runs + passes)) / (1 - WARMING);
    const ms = passMs * (this.world.firstRunFactor - 1) * share;
    return { ms, deviceMs: ms, endpointMs: 0 };
  }
}

/** As the session runs them (`session/text/run-route.ts`): a leg's rows pass through those before it. */
export function startsOf({ legs }: Route, held: Held, upTo: number): readonly number[] {
  const starts: number[] = [];
  let least = upTo;
  for (const { place, span } of [...legs].reverse()) {
    least = Math.min(least, filled(held[place], span));
    starts.unshift(least);
  }
  return starts;
}

export function plus(a: Spent, b: Spent): Spent {
  return { ms: a.ms + b.ms, deviceMs: a.deviceMs + b.deviceMs, endpointMs: a.endpointMs + b.endpointMs };
}

export function times(one: Spent, count: number): Spent {
  return { ms: one.ms * count, deviceMs: one.deviceMs * count, endpointMs: one.endpointMs * count };
}

/** Files come in order, one after the other, each once: blocks may share some. */
function landings({ manifest }: TextWorld, { landedBytes, link, isUp }: TextMoment): readonly number[] {
  const seen = new Set<string>();
  const lands = [0];
  let bytes = 0;
  for (const { shards } of manifest.blocks) {
    for (const shard of shards) {
      if (seen.has(shard)) continue;
      seen.add(shard);
      bytes += manifest.files[shard]?.bytes ?? 0;
    }
    const missing = Math.max(0, bytes - landedBytes);
    if (missing === 0) lands.push(0);
    else lands.push(isUp ? (1000 * missing) / link.downBytesPerSecond : Infinity);
  }
  return lands;
}
