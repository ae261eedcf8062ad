/** One answer of a session: the engine, what is proposed ahead, and what is told of it. */
import type { Clock } from '../../core/clock.ts';
import { wantedDrafts } from '../../package/guesses.ts';
import type { Manifest } from '../../package/manifest.ts';
import type { GoalOptions } from '../../planner/objective.ts';
import { goalFor } from '../planning.ts';
import { delay } from '../waiting.ts';
import type { TextEngine } from './engine.ts';
import type { TextOutcome } from './engine-types.ts';
import type { GuessBook } from './guess-book.ts';
import type { TextProposals } from './proposals.ts';
import type { TextTraffic } from './session-places.ts';
import type { PlanPeriod, RunTextOptions, RunTextResult, TextPlan } from './types.ts';

export interface RunTextParts {
  readonly manifest: Manifest;
  readonly engine: TextEngine;
  readonly proposer: TextProposals;
  readonly guesses: GuessBook;
  readonly clock: Clock;
  readonly traffic: () => TextTraffic;
  readonly plan: TextPlan;
  /** What the session asks for. */
  readonly goal: GoalOptions;
  readonly fallback: boolean;
  readonly onPeriod: (period: PlanPeriod) => void;
}

export async function runText(parts: RunTextParts, options: RunTextOptions): Promise<RunTextResult> {
  const { engine, proposer, guesses, clock } = parts;
  const began = clock.now();
  const before = parts.traffic();
  const periods: PlanPeriod[] = [];
  let firstMs: number | undefined;
  let lastMs = began;
  const draft = wantedDrafts(parts.manifest, options.draft ?? 'auto');
  proposer.begin(draft);
  guesses.begin(options.tokens.length);
  const outcome: TextOutcome = await engine.run({
    tokens: options.tokens,
    sampling: options.sampling,
    endTokens: options.endTokens,
    maxTokens: options.maxTokens,
    plan: options.plan ?? parts.plan,
    goal: goalFor(parts.goal, options),
    move: options.move ?? true,
    fallback: parts.fallback,
    proposals: proposer,
    trips: (text) => {
      guesses.follow(text);
      return guesses.trips(draft);
    },
    now: () => clock.now(),
    pause: delay,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onToken: (token, holdMs) => {
      lastMs = clock.now();
      firstMs ??= lastMs;
      return options.onToken?.(token, holdMs) ?? false;
    },
    onPeriod: (period) => {
      periods.push(period);
      parts.onPeriod(period);
      options.onMove?.(period);
    },
  });
  const after = parts.traffic();
  guesses.follow([...options.tokens, ...outcome.tokens]);
  const newTokens = outcome.tokens.length;
  const ended = clock.now();
  return {
    tokens: outcome.tokens,
    reason: outcome.reason,
    usage: {
      ttftMs: (firstMs ?? ended) - began,
      totalMs: ended - began,
      tokensPerSecond:
        firstMs === undefined || newTokens < 2
          ? 0
          : ((newTokens - 1) * 1000) / Math.max(1e-3, lastMs - firstMs),
      promptTokens: options.tokens.length,
      reusedTokens: outcome.reused,
      newTokens,
      roundTrips: after.roundTrips - before.roundTrips,
      bytesUp: after.bytesUp - before.bytesUp,
      bytesDown: after.bytesDown - before.bytesDown,
      ...proposer.counts(),
      plans: periods,
    },
  };
}
