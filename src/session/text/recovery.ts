/** Where a text goes on when a place fails it. */
import { type IsthmusError, isIsthmusError } from '../../errors.ts';
import type { TextRequest } from './engine-types.ts';
import type { LaneSet } from './lane-set.ts';
import type { Target } from './mover.ts';
import type { Outlook } from './outlook.ts';
import { type PlaceName, type Route, usesPlace } from './route.ts';

/** Failures that another lane, or another place, may not have. */
const RECOVERABLE: readonly string[] = [
  'endpoint-lost',
  'endpoint-failed',
  'endpoint-stopping',
  'unknown-session',
  'worker-lost',
  'run-failed',
  'weights-missing',
  'limit-exceeded',
];

/** Times that one answer may go on elsewhere; an endless fall between two bad places helps nobody. */
export const MAX_RECOVERIES = 8;

export function isRecoverable(thrown: unknown): thrown is IsthmusError {
  return isIsthmusError(thrown) && RECOVERABLE.includes(thrown.code);
}

/** Whose lane threw it; what no lane threw came of getting a place ready. */
export function placeOf(error: IsthmusError, route: Route, lanes: LaneSet): PlaceName {
  const place = (['endpoint', 'device'] as const).find((one) => lanes[one]?.hasThrown(error));
  if (place !== undefined) return place;
  const isDevice = error.code === 'weights-missing' || error.code === 'worker-lost';
  return isDevice || !usesPlace(route, 'endpoint') ? 'device' : 'endpoint';
}

interface Failure {
  readonly failed: Route;
  readonly place: PlaceName;
  readonly error: IsthmusError;
  /** The text so far. */
  readonly tokens: readonly number[];
  /** It failed before it did anything, on what an earlier text had left: a new lane may do. */
  readonly mayReturn: boolean;
}

/** Throws the error where the text may go on nowhere else. */
export function routeAfter(
  request: TextRequest,
  { failed, place, error, tokens, mayReturn }: Failure,
  outlook: Outlook,
): Target {
  const reason = `${place} failed: ${error.message}`;
  // A lane that timed out, a worker that was started anew: the same route on a new lane.
  const isLaneAlone = error.code === 'unknown-session' || error.code === 'worker-lost' || mayReturn;
  if (isLaneAlone) return { route: failed, reason };
  if (!request.fallback) throw error;
  // What was not allowed to leave the device does not leave it now: a forced plan falls back here.
  if (request.plan !== 'auto') {
    if (failed.id === 'local') throw error;
    return { route: outlook.asked('local', request), reason };
  }
  const route = outlook.elsewhere(request, failed, place, tokens);
  if (route === undefined) throw error;
  return { route, reason };
}
