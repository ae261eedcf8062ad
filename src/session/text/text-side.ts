/** What a session has for text: one engine, its places, and what it learns to propose. */
import { LookupDrafter } from '../../core/draft/draft-lookup.ts';
import { wantedDrafts } from '../../package/guesses.ts';
import type { Shared } from '../parts.ts';
import { goalFor } from '../planning.ts';
import type { PlanChoice } from '../types.ts';
import { calibrateText } from './calibrate-text.ts';
import { DeviceBelief, LOOK_BLOCKS, sizeOfLook } from './device-look.ts';
import { TextEngine } from './engine.ts';
import { GuessBook } from './guess-book.ts';
import { Progress } from './progress.ts';
import { TextProposals } from './proposals.ts';
import { runText } from './run-text.ts';
import { SessionPlaces } from './session-places.ts';
import type { RunTextOptions, RunTextResult, TextPlan } from './types.ts';

/** Texts that the session may run here, and that the endpoint alone makes. */
export interface AtEndpoint {
  begins(): void;
  ended(): void;
}

export class TextSide {
  readonly #shared: Shared;
  readonly #places: SessionPlaces;
  readonly #engine: TextEngine;
  readonly #proposer: TextProposals;
  readonly #guesses = new GuessBook(new LookupDrafter());
  readonly #belief: DeviceBelief;
  readonly #atEndpoint: AtEndpoint;
  readonly #progress = new Progress();
  #isCalibrating = false;
  #calibrations = 0;
  /** Ms when the device was last seen to run text, by an answer or a look. */
  #seenAt = -Infinity;

  constructor(shared: Shared, atEndpoint: AtEndpoint) {
    this.#shared = shared;
    this.#atEndpoint = atEndpoint;
    this.#places = new SessionPlaces(shared);
    this.#engine = new TextEngine(this.#places);
    this.#belief = new DeviceBelief(this.#engine.paces.device);
    this.#proposer = new TextProposals({
      rttMs: () => shared.knowledge.estimateLink().rttMs,
      paces: this.#engine.paces,
      blocks: shared.parts.manifest.blocks.length,
    });
  }

  async run(options: RunTextOptions): Promise<RunTextResult> {
    // Texts run one after another, but a calibration may run beside their start.
    if (!this.#isCalibrating) await this.#places.tidy();
    const { parts, options: session, emit } = this.#shared;
    const { device } = this.#engine.paces;
    const before = device.seen;
    const isAuto = (options.plan ?? textPlan(session.plan)) === 'auto';
    this.#progress.begin(options.maxTokens);
    const result = await runText(
      {
        manifest: parts.manifest,
        engine: this.#engine,
        proposer: this.#proposer,
        guesses: this.#guesses,
        clock: parts.clock,
        traffic: () => this.#places.traffic(),
        plan: textPlan(session.plan),
        goal: session,
        fallback: session.fallback !== false,
        onPeriod: (period) => {
          emit({ type: 'text-plan', period });
          if (isAuto && period.plan === 'remote') this.#atEndpoint.begins();
        },
      },
      {
        ...options,
        onToken: (token, holdMs) => {
          this.#progress.token(parts.clock.now());
          return options.onToken?.(token, holdMs) ?? false;
        },
      },
    ).finally(() => this.#progress.end());
    if (device.seen > before) this.#seenAt = parts.clock.now();
    if (isAuto && result.usage.plans.at(-1)?.plan === 'remote') this.#atEndpoint.ended();
    return result;
  }

  moveTo(plan: Exclude<TextPlan, 'auto'>): Promise<void> {
    return this.#engine.moveTo(plan);
  }

  /** Weights arrived, or the endpoint came or went. */
  async noteChange(): Promise<void> {
    this.#places.noteChange();
    await this.#calibrate();
  }

  /** Whether the device may be faster than it was measured to be. */
  get isDeviceDoubted(): boolean {
    return this.#belief.isDoubted;
  }

  /** Ms that the text under way may yet take; Infinity where that is not known yet. */
  get leftMs(): number {
    return this.#progress.leftMs;
  }

  /** Ms since the device was seen to run text. */
  get sinceDeviceMs(): number {
    return Math.max(0, this.#shared.parts.clock.now() - this.#seenAt);
  }

  /**
   * Looks whether the device is as fast as it was, which nothing else tells while texts run elsewhere. Resolves
   * false where its first blocks are not here, and so nothing was run. Throws `aborted`: then nothing is believed.
   */
  async recheck(signal?: AbortSignal): Promise<boolean> {
    if (!this.#isAuto || this.#isCalibrating || !this.#isHere(LOOK_BLOCKS)) return false;
    await this.#look(signal);
    this.#calibrations = Math.max(1, this.#calibrations);
    await this.#buildLikely();
    // A text that runs beside it may be better off here.
    this.#places.noteChange();
    return true;
  }

  /**
   * When the first blocks are here, and again when all are: what was measured while weights poured in is
   * slower than the device is.
   */
  async #calibrate(): Promise<void> {
    const { device } = this.#engine.paces;
    const wanted = this.#isHere(Infinity) ? 2 : 1;
    const isKnown = device.isMeasured && this.#calibrations === 0;
    if (this.#isCalibrating || isKnown || this.#calibrations >= wanted) return;
    if (!this.#isHere(LOOK_BLOCKS)) return;
    await this.#look();
    this.#calibrations = wanted;
    if (wanted > 1) await this.#buildLikely();
    this.#places.noteChange();
  }

  /**
   * A plan that needs blocks which are not built yet loses to one that needs none, for one text after the other. Beside
   * them it is built once, and then looked at for good; what the device would not be used for takes none of its memory.
   */
  async #buildLikely(): Promise<void> {
    if (!this.#isAuto) return;
    const { options, parts } = this.#shared;
    const drafts = wantedDrafts(parts.manifest, 'auto');
    const route = this.#engine.likely({ goal: goalFor(options), trips: () => this.#guesses.trips(drafts) });
    const here = (route?.legs ?? []).filter(({ place }) => place === 'device');
    const lacking = here.filter((leg) => this.#places.buildMs(leg) > 0);
    if (lacking.length === 0) return;
    for (const leg of lacking) await this.#places.ready(leg);
    await this.#look();
  }

  async #look(signal?: AbortSignal): Promise<void> {
    const all = this.#shared.parts.manifest.blocks.length;
    const whole = { place: 'device', span: { from: 0, to: all } } as const;
    const size = sizeOfLook(all, this.#places.buildMs(whole) === 0, this.#belief.hasAnswered);
    this.#isCalibrating = true;
    try {
      const front = { place: 'device', span: { from: 0, to: 1 } } as const;
      // Built first it is built apart; where others were built with it before, it is not built again for a look.
      if (this.#calibrations === 0) await this.#places.ready(front);
      await this.#places.ready({ place: 'device', span: { from: 0, to: size.blocks } });
      const isFrontApart = this.#places.buildMs(front) === 0;
      const lane = await this.#places.openLane('device');
      try {
        this.#belief.take(
          await calibrateText(lane, size, {
            clock: this.#shared.parts.clock,
            isFrontApart,
            beside: this.#engine.beside,
            signal,
          }),
        );
        this.#seenAt = this.#shared.parts.clock.now();
      } finally {
        await lane.close();
      }
    } finally {
      this.#isCalibrating = false;
    }
  }

  get #isAuto(): boolean {
    return textPlan(this.#shared.options.plan) === 'auto';
  }

  #isHere(count: number): boolean {
    const { blocks } = this.#shared.parts.manifest;
    const span = { from: 0, to: Math.min(count, blocks.length) };
    return this.#places.missingBytes({ place: 'device', span }) === 0;
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}

function textPlan(choice: PlanChoice | undefined): TextPlan {
  if (choice === undefined || typeof choice === 'string') return choice ?? 'auto';
  return { cut: choice.cut };
}
