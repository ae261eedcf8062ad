/** What a session has for text: one engine, its places, and what it learns to propose. */
import type { Shared } from '../parts.ts';
import type { PlanChoice } from '../types.ts';
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

  run(options: RunTextOptions): Promise<RunTextResult> {
    const { parts, options: session, emit } = this.#shared;
    return runText(
      {
        engine: this.#engine,
        proposer: this.#proposer,
        clock: parts.clock,
        traffic: () => this.#places.traffic(),
        plan: textPlan(session.plan),
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
  noteChange(): Promise<void> {
    return this.#places.noteChange();
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}

function textPlan(choice: PlanChoice | undefined): TextPlan {
  if (choice === undefined || typeof choice === 'string') return choice ?? 'auto';
  return { cut: choice.cut };
}
