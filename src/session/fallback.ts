/** What follows a plan that failed: pure decisions, in one place. */
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { PlanLimit } from '../planner/choose.ts';
import type { PlanChoice, RequestReport } from './types.ts';

export type Abandoned = RequestReport['abandoned'];

/** Failures that another plan may escape. */
const PASSING: readonly ErrorCode[] = [
  'endpoint-lost',
  'endpoint-failed',
  'endpoint-stopping',
  'unknown-session',
  'unknown-model',
  'wrong-version',
  'limit-exceeded',
  'bad-frame',
  'run-failed',
  'weights-missing',
  'missing-shard',
  'bad-shard',
  'no-plan',
  'worker-lost',
  'no-provider',
  'internal',
];

/** What to try after a failure, or `undefined` when the failure is final. */
export function nextChoice(
  choice: PlanChoice,
  error: IsthmusError,
  mayFallBack: boolean,
): PlanChoice | undefined {
  if (!mayFallBack || !PASSING.includes(error.code)) return undefined;
  if (choice === 'auto') {
    return error.code === 'no-plan' || error.code === 'weights-missing' ? undefined : 'auto';
  }
  // A forced plan falls back once, and to the device alone.
  return choice === 'local' ? undefined : 'local';
}

/** Rules out a plan for the rest of its request. */
export function notAgain(planId: string, error: IsthmusError): PlanLimit {
  return (plan) => (plan.id === planId ? `failed in this request: ${error.code}` : undefined);
}

export function choiceName(choice: PlanChoice): string {
  return typeof choice === 'string' ? choice : `split@${choice.cut}`;
}

/** The last failure, told with those before it. */
export function failure(error: IsthmusError, abandoned: Abandoned): IsthmusError {
  if (abandoned.length === 0) return error;
  return new IsthmusError(error.code, error.message, {
    details: { ...error.details, tried: abandoned.map(({ plan, error: { code } }) => ({ plan, code })) },
    cause: error,
  });
}
