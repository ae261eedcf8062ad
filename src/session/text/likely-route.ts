/** What a text that is yet to come would run on, so that it can be made ready; pure. */
import { isIsthmusError } from '../../errors.ts';
import { chooseRoute } from './choose-route.ts';
import type { Situation } from './predict-route.ts';
import type { Route } from './route.ts';

/** Rows that a text lacks where it begins, before one has come: a sentence or two in a template. */
export const FIRST_ROWS = 48;

/**
 * The route for a text that lacks so many rows everywhere, if all that is here were built; nothing where nothing can
 * run.
 */
export function likelyRoute(situation: Situation, rows: number): Route | undefined {
  const supposed = { ...situation, lacking: () => rows, canFetch: false, buildMs: () => 0 };
  return unlessNone(() => chooseRoute(supposed).best.route);
}

/** Nothing where a look at plans finds none (`no-plan`). */
export function unlessNone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (!isIsthmusError(error)) throw error;
    return undefined;
  }
}
