/** What verification takes and tells. */
import type { Span } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import type { SpanExecutor } from '../runtime/executor.ts';
import type { Lane } from '../runtime/lane.ts';

/**
 * Largest difference of a value that still counts as equal. Both sides run the same operators on the
 * same runtime, so the expected difference is none; this leaves room for a kernel that sums in another
 * order when the machine is busy.
 */
export const VERIFY_TOLERANCE = 1e-5;

/**
 * The same between ways of running one text: rows at once and one by one are other products, whose sums
 * onnxruntime takes in another order. Tokens must be the same all the same.
 */
export const WAYS_TOLERANCE = 1e-3;

/** Steps compared at least, also when the end token comes earlier: state errors show after some steps. */
export const MIN_STEPS = 8;

export interface VerifyInput {
  readonly name: string;
  /** Inputs of a first stage that runs once; empty for a model that is a loop alone. */
  readonly feeds: TensorMap;
  /** Tokens to feed before the model's own; they lengthen the state. */
  readonly forced?: readonly number[];
  /** Steps of the loop at most. Greedy decoding ends earlier at an end token, after `MIN_STEPS`. */
  readonly maxTokens: number;
}

/** How far one way of running is from another. */
export interface RunDifference {
  /** Over every value compared; `Number.MAX_VALUE` where shapes differ or one side is not a number. */
  readonly maxAbsDiff: number;
  /** Greedy tokens at every step; for models without a loop, every whole-number output. */
  readonly tokensEqual: boolean;
}

export interface CutVerdict extends RunDifference {
  readonly cut: number;
}

/** Ways of running one text on the whole model that must give the same; for models that are a loop alone. */
export interface LoopVerdict {
  /** Rows at once against one by one. */
  readonly prefill: RunDifference;
  /** Going back and running again against never having gone; absent where state cannot go back. */
  readonly rewind?: RunDifference;
}

export interface Verdict {
  readonly model: string;
  readonly cuts: readonly CutVerdict[];
  readonly loop?: LoopVerdict;
  readonly ok: boolean;
}

export interface VerifyProgress {
  /** `undefined` while the whole model runs. */
  readonly cut: number | undefined;
  /** Counted from 1. */
  readonly cutNumber: number;
  readonly cuts: number;
  readonly input: string;
  readonly inputNumber: number;
  readonly inputs: number;
}

export interface VerifyTools {
  readonly executor: (span: Span) => SpanExecutor;
  /**
   * A fresh lane over the spans that are loaded. With it, models that are a loop alone are verified by the
   * lanes that their answers run on; without it, token by token.
   */
  readonly lane?: () => Lane;
  /** Frees the sessions of a span. */
  readonly unload: (span: Span) => Promise<void>;
  /** Index of the largest score, lowest among equals. */
  readonly argmax: (scores: Float32Array) => number;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal;
}
