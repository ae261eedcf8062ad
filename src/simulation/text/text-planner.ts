/**
 * Isthmus's own choice of routes as a player: the session's choice, paces, link estimate and draft lengths, with a
 * virtual clock in place of lanes. The clock runs without noise; what is learned from has it.
 */

import { recheckInMs } from '../../device/recheck.ts';
import { isIsthmusError } from '../../errors.ts';
import { estimateLink, type LinkState, NEW_LINK, observeLink } from '../../link/estimator.ts';
import { MAX_IDLE_PROBES, PROBE_INTERVAL_MS, pingsOf, planProbe } from '../../link/probe.ts';
import { betterRoute, firstRoute, type Situation } from '../../session/text/choose-route.ts';
import { stateRowBytes } from '../../session/text/crossing-bytes.ts';
import { DeviceBelief, LOOK_BLOCKS, lookAtDevice } from '../../session/text/device-look.ts';
import { Pace } from '../../session/text/pace.ts';
import { Proposer } from '../../session/text/proposals.ts';
import { type Leg, livePart, type PlaceName, type Route, without } from '../../session/text/route.ts';
import type { Random } from '../random.ts';
import { NEVER, type Played } from './forced.ts';
import { afterRoute, filled, type Held, nothingHeld, rewound } from './held.ts';
import type { TextWorld } from './text-world.ts';
import { NOTHING, plus, type Spent, startsOf, type Truth } from './truth.ts';

/** Deviations of the logarithm of what is seen round what is. */
const COMPUTE_DEVIATION = 0.08;
const LINK_DEVIATION = 0.12;
/** A pause now and then: another tab, garbage. */
const PAUSES = { share: 0.01, factor: 5 };

/** As the session's engine has them (`session/text/engine.ts`, `move.ts`). */
const USUAL_TOKENS = 128;
const USUAL_RATE = 0.3;
const LOOK_EVERY = 32;
const STALL_MS = 250;
const CATCH_UP_ROWS = 32;
const CLOSE_ENOUGH_ROWS = 2;

/** As `session/text/device-blocks.ts` learns what building takes. */
const BUILD_PRIOR_MS_PER_BYTE = 1e-5;
const BUILD_RATE = 0.3;

/** Beside arriving weights it is that much slower. */
const POURING_FACTOR = 1.3;

/** What an endpoint runs for itself when it starts (`endpoint/model-host.ts`), and so can tell of. */
const REHEARSED_ROWS = [48, 1] as const;

interface Move {
  readonly route: Route;
  readonly preparedAt: number;
  readonly isApart: boolean;
  readonly pauseMs: number;
  readonly beside: Spent;
}

export class TextPlanner {
  readonly #world: TextWorld;
  readonly #random: Random;
  readonly #paces: { readonly [place in PlaceName]: Pace };
  readonly #proposer: Proposer;
  #link: LinkState = NEW_LINK;
  #now = 0;
  #held: Held;
  #usual = USUAL_TOKENS;
  #buildMsPerByte = BUILD_PRIOR_MS_PER_BYTE;
  readonly #belief: DeviceBelief;
  #calibrations = 0;
  #seenAt = 0;
  #checkedAt = -Infinity;
  #checkMs = 0;
  #endedAt: number | undefined;
  #truth: Truth | undefined;
  #hit = 0;
  #isProposed = false;

  constructor(world: TextWorld, random: Random) {
    this.#world = world;
    this.#random = random;
    const { manifest } = world;
    this.#held = nothingHeld(manifest.blocks.length);
    this.#paces = { device: new Pace(manifest), endpoint: new Pace(manifest, 1 / 2) };
    this.#belief = new DeviceBelief(this.#paces.device);
    this.#proposer = new Proposer({
      rttMs: () => estimateLink(this.#link, this.#now).rttMs,
      paces: this.#paces,
      blocks: manifest.blocks.length,
      drafter: {
        propose: (_, most) => (this.#isProposed ? Array(most).fill(0) : []),
      },
    });
  }

  get held(): Held {
    return this.#held;
  }

  /** The state with which the next request begins. */
  begin(truth: Truth): Held {
    const { moment } = truth;
    this.#idle(truth);
    this.#held = rewound(this.#held, moment.continues ? moment.length - moment.prompt : 0);
    return this.#held;
  }

  play(truth: Truth): Played {
    this.#truth = truth;
    this.#proposer.begin('auto');
    this.#hit = 0;
    let played: Played;
    try {
      played = this.#answer(truth);
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      played = NEVER;
    }
    this.#endedAt = truth.moment.at + (played.ms === Infinity ? 0 : played.ms);
    if (played.deviceMs > 0) this.#seenAt = this.#endedAt;
    return played;
  }

  #answer(truth: Truth): Played {
    const { moment } = truth;
    const { tokens: wanted, length } = moment;
    const clock = { ms: 0 };
    let spent = NOTHING;
    let made = 0;
    let ttftMs = 0;
    let route = firstRoute(this.#situation(truth, clock.ms, length, wanted)).best.route;
    const plans = [route.id];
    while (made < wanted) {
      this.#build(truth, route, clock);
      const period = this.#period(truth, route, clock, made);
      if (made === 0 && period.made > 0) ttftMs = period.firstAt;
      made += period.made;
      spent = plus(spent, period.spent);
      if (period.next === undefined) break;
      route = period.next;
      plans.push(route.id);
    }
    this.#usual += USUAL_RATE * (wanted - this.#usual);
    return {
      ms: clock.ms,
      deviceMs: spent.deviceMs,
      endpointMs: spent.endpointMs,
      ttftMs,
      plan: plans.join('>'),
    };
  }

  /** One route until the answer ends or another takes over. */
  #period(truth: Truth, route: Route, clock: { ms: number }, before: number) {
    const { moment } = truth;
    const { tokens: wanted, length } = moment;
    let spent = NOTHING;
    let made = 0;
    let move: Move | undefined;
    let nextLanding = this.#landings(truth, clock.ms);
    const told: { rows: number; ms: number }[] = [];
    const text = (): number => length + before + made;
    const look = (): void => {
      if (move !== undefined) return;
      move = this.#look(truth, route, clock.ms, text(), wanted - before - made);
    };
    const end = (next?: Route) => {
      this.#held = afterRoute(this.#held, route, Math.max(0, text() - 1), made);
      this.#tell(route, told);
      return { made, spent, firstAt, ...(next === undefined ? {} : { next }) };
    };
    let firstAt = 0;
    look();
    const position = Math.min(...startsOf(route, this.#held, text() - 1));
    const first = truth.first(route, this.#held, text());
    const stalledAt = move === undefined || !move.isApart ? Infinity : move.preparedAt + STALL_MS;
    if (move !== undefined && stalledAt < clock.ms + first.ms) {
      // The other place speaks before this one has read the prompt.
      clock.ms = Math.max(clock.ms, stalledAt);
      spent = plus(plus(spent, { ...first, ms: 0 }), move.beside);
      this.#takeOver(move, text());
      return { made, spent, firstAt, next: move.route };
    }
    clock.ms += first.ms;
    spent = plus(spent, first);
    this.#learnFirst(route, truth, text() - position, position, told);
    this.#held = afterRoute(this.#held, route, text() - 1, 1);
    made = 1;
    firstAt = clock.ms;
    let progress = 1;
    while (before + made < wanted) {
      while (nextLanding.length > 0 && (nextLanding[0]?.at ?? Infinity) <= clock.ms) {
        this.#calibrate(truth, nextLanding.shift()?.blocks ?? 0, true);
        look();
      }
      if ((before + made) % LOOK_EVERY === 0) look();
      if (move !== undefined && move.preparedAt <= clock.ms) {
        clock.ms += move.pauseMs;
        spent = plus(spent, move.beside);
        const ended = end(move.route);
        this.#takeOver(move, text());
        return ended;
      }
      const step = this.#step(truth, route, text(), wanted - before - made, told);
      clock.ms += step.spent.ms;
      spent = plus(spent, step.spent);
      progress += step.tokens;
      made = Math.min(wanted - before, Math.floor(progress + 1e-9));
    }
    nextLanding = [];
    return end();
  }

  /** One token in one place, or one trip. */
  #step(truth: Truth, route: Route, context: number, left: number, told: { rows: number; ms: number }[]) {
    const [only] = route.legs;
    const runs = this.#held.runs;
    this.#held = { ...this.#held, runs: runs + 1 };
    if (route.legs.length === 1 && only !== undefined) {
      const work = truth.work(only.place, only.span, 1, context - 1, 1, runs);
      const queueMs = only.place === 'endpoint' ? truth.moment.queueMs : 0;
      const seen = (work + queueMs) * this.#noise();
      if (only.place === 'endpoint') this.#paces.endpoint.learn(only.span, 1, seen);
      else told.push({ rows: 1, ms: seen });
      const spent: Spent =
        only.place === 'endpoint'
          ? { ms: work + queueMs, deviceMs: 0, endpointMs: work }
          : { ms: work, deviceMs: work, endpointMs: 0 };
      return { spent, tokens: 1 };
    }
    // Where the past proposes something: as often as the world says, evenly spread.
    this.#hit += truth.moment.hits;
    this.#isProposed = this.#hit >= 1;
    if (this.#isProposed) this.#hit -= 1;
    const drafts = this.#proposer.propose([], Math.max(0, left - 1)).length;
    const spent = truth.pass(route, 1 + drafts, context - 1, 1 + drafts, runs);
    let accepted = 0;
    while (accepted < drafts && this.#random.next() < truth.moment.acceptance) accepted += 1;
    const ms = this.#learnPass(truth, route, 1 + drafts, context - 1, 1 + drafts);
    this.#proposer.learn({ drafted: drafts, accepted, ms });
    return { spent, tokens: truth.tripTokens(drafts) };
  }

  /** Tells paces of a call through all legs, as it was seen; its whole ms. */
  #learnPass(truth: Truth, route: Route, rows: number, context: number, picks: number): number {
    let all = 0;
    for (const { place, span } of route.legs) {
      const work = truth.work(place, span, rows, context, picks, this.#held.runs);
      const seen = (work + (place === 'endpoint' ? truth.moment.queueMs : 0)) * this.#noise();
      this.#paces[place].learn(span, rows, seen);
      all += seen;
      if (place === 'endpoint') all += truth.linkMs(span, rows) * this.#random.factor(LINK_DEVIATION);
    }
    return all;
  }

  #learnFirst(
    route: Route,
    truth: Truth,
    rows: number,
    context: number,
    told: { rows: number; ms: number }[],
  ): void {
    const [only] = route.legs;
    if (route.legs.length === 1 && only?.place === 'device') {
      const ms = truth.work('device', only.span, rows, context, 1, this.#held.runs) * this.#noise();
      told.push({ rows, ms });
      return;
    }
    this.#learnPass(truth, route, rows, context, 1);
  }

  /** A device's loop is told of when it has ended: its first token, and the mean of the others. */
  #tell({ legs: [only, ...others] }: Route, told: readonly { rows: number; ms: number }[]): void {
    const [first, ...rest] = told;
    if (only === undefined || others.length > 0 || first === undefined) return;
    this.#paces[only.place].learn(only.span, first.rows, first.ms);
    const mean = rest.reduce((sum, { ms }) => sum + ms, 0) / Math.max(1, rest.length);
    for (const _ of rest) this.#paces[only.place].learn(only.span, 1, mean);
  }

  #look(truth: Truth, route: Route, now: number, length: number, left: number): Move | undefined {
    let found: ReturnType<typeof betterRoute>;
    try {
      found = betterRoute(route, this.#situation(truth, now, length, left));
    } catch (error) {
      if (!isIsthmusError(error)) throw error;
      return undefined;
    }
    return found && this.#prepare(truth, route, found.best.route, now, length);
  }

  /** What `session/text/move.ts` does beside the text; copying where that is predicted to cost less. */
  #prepare(truth: Truth, current: Route, target: Route, now: number, length: number): Move {
    const running = current.legs.length === 1 ? current.legs[0]?.place : undefined;
    let workMs = 0;
    let pauseMs = 0;
    let beside = NOTHING;
    let isApart = running !== undefined;
    for (const leg of target.legs) {
      if (leg.place === running) isApart = false;
      if (leg.place === 'device') workMs += truth.buildMs(this.#held.built, leg.span.to);
      for (const span of without(leg.span, livePart(current, leg.place, leg.span))) {
        const other: PlaceName = leg.place === 'device' ? 'endpoint' : 'device';
        const lag = Math.max(0, length - filled(this.#held[leg.place], span));
        const canCopy =
          without(span, livePart(current, other, span)).length === 0 && filled(this.#held[other], span) > 0;
        const isPause = canCopy && running === other;
        const copyMs = canCopy ? this.#transferMs(leg.place, span, lag) : Infinity;
        const made = span.from === 0 ? lag : length;
        const until = { from: 0, to: span.to };
        const isCopied =
          leg.span.from !== 0 || (!isPause && copyMs <= this.#paces[leg.place].ms(until, Math.max(1, made)));
        if (isCopied && !canCopy) continue;
        if (isCopied) {
          const ms =
            truth.copyMs(leg.place, span, lag) + truth.moment.link.rttMs * Math.floor(lag / CATCH_UP_ROWS);
          if (isPause || leg.place === running) pauseMs += ms;
          else workMs += ms;
          continue;
        }
        for (let from = length - made; from < length; from += CATCH_UP_ROWS) {
          const rows = Math.min(CATCH_UP_ROWS, length - from);
          const one = truth.pass({ id: '', legs: [{ ...leg, span: until }] }, rows, from, 0, this.#held.runs);
          workMs += one.ms;
          beside = plus(beside, { ...one, ms: 0 });
        }
      }
    }
    // Meanwhile the text has grown; the rows that came are few, and share a call or two.
    const grownMs =
      (workMs / Math.max(1e-9, this.#stepMs(truth, current, length))) * this.#rowMs(truth, target, length);
    return { route: target, preparedAt: now + workMs + Math.min(workMs, grownMs), isApart, pauseMs, beside };
  }

  #takeOver({ route }: Move, length: number): void {
    this.#held = afterRoute(this.#held, route, Math.max(0, length - CLOSE_ENOUGH_ROWS));
  }

  #stepMs(truth: Truth, route: Route, length: number): number {
    return truth.pass(route, 1, length, 1).ms;
  }

  #rowMs(truth: Truth, route: Route, length: number): number {
    const [first] = route.legs;
    return first === undefined ? 0 : truth.pass({ ...route, legs: [first] }, 8, length, 0).ms / 8;
  }

  #transferMs(to: PlaceName, span: Leg['span'], rows: number): number {
    const link = estimateLink(this.#link, this.#now);
    const rate = to === 'device' ? link.downBytesPerSecond : link.upBytesPerSecond;
    return link.rttMs + ((stateRowBytes(this.#world.manifest, span.from, span.to) * rows) / rate) * 1000;
  }

  #situation(truth: Truth, offset: number, length: number, most: number): Situation {
    const { manifest, goal } = this.#world;
    const { moment } = truth;
    this.#now = moment.at + offset;
    return {
      manifest,
      paces: this.#paces,
      link: estimateLink(this.#link, this.#now),
      hasEndpoint: moment.isUp,
      canFetch: moment.isUp,
      missingBytes: ({ span }) => this.#missing(truth, offset, span.to),
      buildMs: ({ span }) => this.#unbuiltBytes(span.to) * this.#buildMsPerByte,
      lacking: ({ place, span }) => length - filled(this.#held[place], span),
      newTokens: Math.max(1, Math.min(most, Math.round(this.#usual))),
      tokensPerTrip: this.#proposer.tokensPerTrip(),
      goal,
    };
  }

  #missing(truth: Truth, offset: number, to: number): number {
    const at = truth.landsAt(to);
    if (at <= offset) return 0;
    if (at === Infinity) return Math.max(1, this.#unbuiltBytes(to));
    return ((at - offset) * truth.moment.link.downBytesPerSecond) / 1000;
  }

  #unbuiltBytes(to: number): number {
    return this.#world.manifest.blocks
      .slice(this.#held.built, to)
      .reduce((sum, one) => sum + one.weightBytes, 0);
  }

  #build(truth: Truth, route: Route, clock: { ms: number }): void {
    const here = route.legs.find(({ place }) => place === 'device');
    if (here === undefined) return;
    clock.ms = Math.max(clock.ms, truth.landsAt(here.span.to));
    const bytes = this.#unbuiltBytes(here.span.to);
    if (bytes === 0) return;
    const ms = truth.buildMs(this.#held.built, here.span.to);
    clock.ms += ms;
    this.#buildMsPerByte += BUILD_RATE * ((ms * this.#noise()) / bytes - this.#buildMsPerByte);
    this.#held = { ...this.#held, built: here.span.to };
  }

  /** Blocks that come while a request runs. */
  #landings(truth: Truth, from: number): { at: number; blocks: number }[] {
    const all: { at: number; blocks: number }[] = [];
    for (let blocks = 1; blocks <= truth.blocks; blocks += 1) {
      const at = truth.landsAt(blocks);
      if (at > from && at < Infinity) all.push({ at, blocks });
    }
    return all;
  }

  /** As a session does when its first blocks are here, and again when all are. */
  #calibrate(truth: Truth, landed: number, isPouring: boolean): void {
    const wanted = landed >= truth.blocks ? 2 : 1;
    if (landed < LOOK_BLOCKS || this.#calibrations >= wanted) return;
    if (this.#paces.device.isMeasured && this.#calibrations === 0) return;
    this.#lookAtDevice(truth, isPouring && landed < truth.blocks ? POURING_FACTOR : 1);
    this.#calibrations = wanted;
  }

  /** Ms that it took. */
  #lookAtDevice(truth: Truth, factor = 1): number {
    const calls = lookAtDevice(truth.blocks, true);
    let all = 0;
    let runs = this.#held.runs;
    for (let next = calls.next(); ; runs += 1) {
      if (next.done) {
        this.#belief.take(next.value);
        break;
      }
      const { span, rows, position } = next.value;
      const ms = truth.work('device', span, rows, position, 0, runs) * factor * this.#noise();
      all += ms;
      next = calls.next(ms);
    }
    this.#held = { ...this.#held, built: Math.max(this.#held.built, LOOK_BLOCKS), runs };
    return all;
  }

  /** In the quiet behind a request (`session/idle.ts`); the world is met as that left it. */
  #recheck(truth: Truth, until: number): void {
    const ended = this.#endedAt ?? 0;
    const sinceSeenMs = ended - this.#seenAt;
    const at =
      ended + recheckInMs({ sinceSeenMs, sinceCheckMs: ended - this.#checkedAt, checkMs: this.#checkMs });
    if (at > until || this.#calibrations === 0) return;
    this.#checkMs = this.#lookAtDevice(truth);
    this.#checkedAt = at;
    this.#seenAt = at;
  }

  /** Between requests: weights come, the link is looked at, an endpoint tells of others' requests. */
  #idle(truth: Truth): void {
    const { moment } = truth;
    const landed = this.#landings(truth, -1).filter(({ at }) => at <= 0).length;
    this.#calibrate(truth, landed, landed < truth.blocks);
    if (this.#endedAt === undefined) {
      if (!moment.isUp) return;
      this.#probe(truth, moment.at, { quietMs: Infinity, probes: 0 });
      const all = { from: 0, to: truth.blocks };
      for (const rows of REHEARSED_ROWS) {
        const ms = truth.work('endpoint', all, rows, 0, 1);
        this.#paces.endpoint.learn(all, rows, ms * this.#random.factor(COMPUTE_DEVIATION));
      }
      return;
    }
    this.#recheck(this.#truth ?? truth, moment.at);
    let at = this.#endedAt;
    for (let probes = 0; moment.isUp && probes < MAX_IDLE_PROBES; probes += 1) {
      const quietMs = PROBE_INTERVAL_MS * 2 ** probes;
      at += quietMs;
      if (at > moment.at) return;
      // The world is met as the last request left it.
      this.#probe(this.#truth ?? truth, at, { quietMs, probes });
    }
  }

  #probe({ moment: { link } }: Truth, at: number, idleness: { quietMs: number; probes: number }): void {
    this.#now = at;
    const planned = planProbe(this.#link, idleness, at);
    if (planned === undefined) return;
    for (const { upBytes, downBytes, seen } of pingsOf(planned)) {
      const ms =
        link.rttMs + (1000 * upBytes) / link.upBytesPerSecond + (1000 * downBytes) / link.downBytesPerSecond;
      this.#link = observeLink(this.#link, seen(ms * this.#random.factor(LINK_DEVIATION)), at);
    }
  }

  #noise(): number {
    const pause = this.#random.next() < PAUSES.share ? PAUSES.factor : 1;
    return this.#random.factor(COMPUTE_DEVIATION) * pause;
  }
}
