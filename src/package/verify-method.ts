/** A way to hold a split model against the whole one. */
import type { SpanExecutor } from '../runtime/executor.ts';
import type { LoopVerdict, RunDifference, VerifyInput } from './verify-types.ts';

/** `Reference`: what the whole model answered to one input. */
export interface VerifyMethod<Reference> {
  /** @param executors of the whole model, loaded */
  readonly refer: (input: VerifyInput, executors: readonly SpanExecutor[]) => Promise<Reference>;
  /** @param executors of the spans at `cut`, loaded */
  readonly compare: (
    reference: Reference,
    executors: readonly SpanExecutor[],
    cut: number,
  ) => Promise<RunDifference>;
  /** How ways of running the whole model differ among themselves. */
  readonly ways?: (references: readonly Reference[]) => LoopVerdict;
}

export function worstOf(differences: readonly RunDifference[]): RunDifference {
  return {
    maxAbsDiff: differences.reduce((most, { maxAbsDiff }) => Math.max(most, maxAbsDiff), 0),
    tokensEqual: differences.every(({ tokensEqual }) => tokensEqual),
  };
}
