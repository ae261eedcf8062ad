/** What a session has for text: one engine, its places, and what it learns to propose. */
import type { Shared } from '../parts.ts';
import type { PlanChoice } from '../types.ts';
import { CALIBRATION_BLOCKS, calibrateText } from './calibrate-text.ts';
import { TextEngine } from './engine.ts';
import { Proposer } from './proposals.ts';
import { runText } from './run-text.ts';
import { SessionPlaces } from './session-places.ts';
import type { RunTextOptions, RunTextResult, TextPlan } from './types.ts';

export class TextSide {
  readonly #shared: Shared;
  readonly #places: SessionPlaces;
  readonly #engine: TextEngine;
  readonly #proposer: Proposer;
  #isCalibrating = false;
  #calibrations = 0;

  constructor(shared: Shared) {
    this.#shared = shared;
    this.#places = new SessionPlaces(shared);
    this.#engine = new TextEngine(this.#places);
    this.#proposer = new Proposer({
      rttMs: () => shared.knowledge.estimateLink().rttMs,
      paces: this.#engine.paces,
      blocks: shared.parts.manifest.blocks.length,
    });
  }

  async run(options: RunTextOptions): Promise<RunTextResult> {
    // Texts run one after another, but a calibration may run beside their start.
    if (!this.#isCalibrating) await this.#places.tidy();
    const { parts, options: session, emit } = this.#shared;
    return runText(
      {
        engine: this.#engine,
        proposer: this.#proposer,
        clock: parts.clock,
        traffic: () => this.#places.traffic(),
        plan: textPlan(session.plan),
        goal: session,
        fallback: session.fallback !== false,
        onPeriod: (period) => emit({ type: 'text-plan', period }),
      },
      options,
    );
  }

  moveTo(plan: Exclude<TextPlan, 'auto'>): Promise<void> {
    return this.#engine.moveTo(plan);
  }

  /** Weights arrived, or the endpoint came or went. */
  async noteChange(): Promise<void> {
    await this.#places.noteChange();
    await this.#calibrate();
  }

  /**
   * When the first blocks are here, and again when all are: what was measured while weights poured in is
   * slower than the device is. A text that ran here has measured better.
   */
  async #calibrate(): Promise<void> {
    const { device } = this.#engine.paces;
    const blocks = this.#shared.parts.manifest.blocks.length;
    const leg = { place: 'device', span: { from: 0, to: Math.min(CALIBRATION_BLOCKS, blocks) } } as const;
    const all = { place: 'device', span: { from: 0, to: blocks } } as const;
    const isWhole = this.#places.missingBytes(all) === 0;
    const wanted = isWhole ? 2 : 1;
    const isKnown = device.isMeasured && this.#calibrations === 0;
    if (this.#isCalibrating || isKnown || this.#calibrations >= wanted) return;
    if (this.#places.missingBytes(leg) > 0) return;
    this.#isCalibrating = true;
    try {
      await this.#places.ready(leg);
      const lane = await this.#places.openLane('device');
      try {
        device.doubt();
        await calibrateText(lane, blocks, device, this.#shared.parts.clock);
        this.#calibrations = wanted;
      } finally {
        await lane.close();
      }
    } finally {
      this.#isCalibrating = false;
    }
    await this.#places.noteChange();
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}

function textPlan(choice: PlanChoice | undefined): TextPlan {
  if (choice === undefined || typeof choice === 'string') return choice ?? 'auto';
  return { cut: choice.cut };
}
