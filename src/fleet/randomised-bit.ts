/**
 * One answer, yes or no, that its giver can deny: randomised response (Warner 1965), which is local
 * differential privacy (Kasiviswanathan et al. 2008) with `epsilon` the logarithm of the odds of the truth.
 */

/**
 * Of one report: the truth goes out in 73 of 100 cases. Whoever hears an answer may bet on it at 2.7 to 1 and no
 * better, whatever else they know.
 */
export const FLEET_EPSILON = 1;

/** Random words are whole numbers of 32 bits, so that the odds are exact: no rounding can add to them. */
const WORDS = 2 ** 32;

/** Words, of 2^32, on which the truth is told: rounded down, so that the odds are never above `e^epsilon`. */
export function truthWords(epsilon: number): number {
  return epsilon === Infinity ? WORDS : Math.floor(WORDS / (1 + Math.exp(-epsilon)));
}

/** Chance that the truth is told. */
export function truthShare(epsilon: number): number {
  return truthWords(epsilon) / WORDS;
}

/** @param word uniform in `[0, 2^32)`, whole, and not to be predicted by anyone */
export function randomiseBit(truth: boolean, word: number, epsilon: number = FLEET_EPSILON): boolean {
  return word < truthWords(epsilon) ? truth : !truth;
}

/** Unbiased share of true answers that are yes, from what was heard; with few answers it can leave 0..1. */
export function unbiasedShare(yes: number, all: number, epsilon: number = FLEET_EPSILON): number {
  const truth = truthShare(epsilon);
  return (yes / all - (1 - truth)) / (2 * truth - 1);
}
