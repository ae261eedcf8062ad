/**
 * How many pairs of runs are enough to say whether choosing costs more than is aimed at. Pure.
 *
 * Runs of one plan differ by a tenth here, so that of three pairs nobody can tell 1.05 from 1. What is asked for is a yes or
 * a no, and a sequential test answers that with the fewest runs on average (Wald, Sequential Tests of Statistical
 * Hypotheses, Annals of Mathematical Statistics 16, 1945): a scenario that is plainly on one side ends soon, one that is not goes on.
 */
import { centre, standardError } from '../report/statistics.mjs';
import { TARGETS } from '../report/targets.mjs';

/** How often the answer may be the wrong one where the ratio is 1, or as far above the bound as 1 is below it. */
const ERROR = 0.01;

/** Fewer pairs say too little of what they differ by. */
const MIN_PAIRS = 5;

const BOUND = Math.log(TARGETS.nearRatio);

/**
 * @param {readonly number[]} logs of `auto` over the same plan told, a pair each
 * @param {number} [aside] what that plan takes of the better pure plan's time
 * @returns {boolean} whether they tell on which side of the bound the ratio is
 */
export function isToldApart(logs, aside = 1) {
  const away = Math.abs(centre(logs) + Math.log(aside) - BOUND);
  // Of the two hypotheses, ratios of 1 and of the bound's square, the logarithm of how much likelier one is.
  return away * 2 * BOUND >= errorOf(logs) ** 2 * Math.log((1 - ERROR) / ERROR);
}

/**
 * Whether their mean has no larger standard error than `sure`. Four pairs of one text's length had 0.2% by chance, and were 17% off.
 * @param {readonly number[]} logs
 */
export const isSure = (logs, sure) => errorOf(logs) <= sure;

/** What is known of the variance is of these few pairs too, and by chance it is small: one over it is too large by so much. */
function errorOf(logs) {
  const { length } = logs;
  return length < MIN_PAIRS ? Infinity : standardError(logs) * Math.sqrt((length - 1) / (length - 3));
}
