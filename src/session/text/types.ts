/** What a user sees of text generation. Times in ms, sizes in bytes. */
import type { Sampling } from '../../core/sampling.ts';
import type { IsthmusError } from '../../errors.ts';
import type { GoalOptions } from '../../planner/objective.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/**
 * Where a text's blocks run. `remote`: the endpoint runs the whole loop and streams tokens. `cut: k`: blocks
 * before `k` here, the others there. `cut` and `until`: blocks `[cut, until)` there and the first and
 * last ones here, so that the endpoint sees neither prompt nor answer as tokens.
 */
export type TextPlan = 'auto' | 'local' | 'remote' | { readonly cut: number; readonly until?: number };

/** `mode: 'prefer-device'` means for text: the device as soon as it keeps up with a reader. */
export interface GenerateOptions extends Partial<Sampling>, GoalOptions {
  /** New tokens at most. Default: the package's bound; never beyond the context. */
  readonly maxTokens?: number;
  /** The answer ends before the first of these texts. */
  readonly stop?: readonly string[];
  /** Tokens that end the answer, besides the package's own. */
  readonly stopTokens?: readonly number[];
  /** Default: that of the session. */
  readonly plan?: TextPlan;
  /** Tokens to guess per pass, or per trip of a cut: none is another for it. Default `auto`: by measured times and acceptance. */
  readonly draft?: 'auto' | number;
  /** Move to a better plan in mid-answer when blocks arrive. Default true under `auto`. */
  readonly move?: boolean;
  readonly signal?: AbortSignal;
  /** Each token as it is known, in order, never twice. */
  readonly onToken?: (token: number) => void;
  /** The cut moved, or the answer goes on elsewhere after a failure. */
  readonly onMove?: (move: PlanPeriod) => void;
}

/** Part of an answer that one plan made. */
export interface PlanPeriod {
  /** `local`, `remote`, `split@7`, `u@2-28`. */
  readonly plan: string;
  /** Index in the answer of its first token. */
  readonly fromToken: number;
  readonly reason: string;
  /** What leaves the device under it: names of tensors, `token ids` among them where they do. */
  readonly leaves: readonly string[];
  readonly error?: IsthmusError;
}

export interface TextUsage {
  readonly ttftMs: number;
  readonly totalMs: number;
  /** Of the new tokens behind the first one. */
  readonly tokensPerSecond: number;
  readonly promptTokens: number;
  /** Of the prompt, those whose state was kept from an earlier turn. */
  readonly reusedTokens: number;
  readonly newTokens: number;
  /** That were waited for: pieces of a prompt that are on their way together are one. */
  readonly roundTrips: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Tokens that were guessed and run along, and those of them that were right. */
  readonly drafted: number;
  readonly accepted: number;
  readonly plans: readonly PlanPeriod[];
}

export interface TextResult {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly reason: 'end' | 'stop' | 'max-tokens' | 'context';
  readonly usage: TextUsage;
}

/** One text in tokens; `session.generate` is built on it. */
export interface RunTextOptions extends GoalOptions {
  /** All of the text so far. What an earlier run left of the same beginning is not run again. */
  readonly tokens: readonly number[];
  readonly sampling: Sampling;
  readonly endTokens: readonly number[];
  /** New tokens at most. */
  readonly maxTokens: number;
  readonly plan?: TextPlan;
  readonly draft?: 'auto' | number;
  readonly move?: boolean;
  readonly signal?: AbortSignal;
  /**
   * Each token as it is known; true ends the answer behind it. `holdMs`, 0 but before a move, is how much later it may
   * be shown, so that the move's pause is spread over the tokens before it.
   */
  readonly onToken?: (token: number, holdMs: number) => boolean;
  readonly onMove?: (period: PlanPeriod) => void;
}

export interface RunTextResult {
  readonly tokens: readonly number[];
  readonly reason: 'end' | 'max-tokens' | 'stopped';
  readonly usage: TextUsage;
}

/** Pieces of text as they are made; whole characters only. Cancelling it aborts the generation. */
export type TextStream = ReadableStream<string> &
  AsyncIterable<string> & {
    /** Resolves when the answer is whole; rejects with what ended it. */
    readonly result: Promise<TextResult>;
  };
