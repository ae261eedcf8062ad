/**
 * What a planner that takes the best plan and costs nothing would be seen to miss, for runs of one plan differ. Pure.
 *
 * Each scenario has pairs of runs: one where the planner chose, one where it was told the same. Were choosing free, either
 * of a pair could as well have been the other, so that the sign of the logarithm of their ratio is a coin's (Fisher's
 * randomisation test): over all signs the scenario's figure is above the bound so often.
 */
import { logRatios } from '../grid/judge.mjs';
import { centre } from './statistics.mjs';

/** Signs that are tried in all their ways. Of more pairs some share one: those are swapped together, or not at all. */
const MOST_SIGNS = 8;

/**
 * @param {{ ratio: number, autoMs: readonly number[], toldMs: readonly number[] }} choosing
 * @param {{ bound: number, aside: number }} options `aside`: what the plan, told, takes of the
 *   better pure plan's time
 * @returns {number} 0 to 1
 */
export function missesByChance({ autoMs, toldMs }, { bound, aside }) {
  const logs = logRatios(autoMs, toldMs);
  const signs = Math.min(MOST_SIGNS, logs.length);
  const ways = 2 ** signs;
  let misses = 0;
  for (let way = 0; way < ways; way += 1) {
    const isFlipped = (pair) => ((way >> (pair % signs)) & 1) === 1;
    const figure = Math.exp(centre(logs.map((log, pair) => (isFlipped(pair) ? -log : log))));
    if (aside * figure > bound) misses += 1;
  }
  return misses / ways;
}
