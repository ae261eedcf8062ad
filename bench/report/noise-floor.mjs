/**
 * What a planner that takes the best plan and costs nothing would be seen to miss, for runs of one plan differ. Pure.
 *
 * Each scenario has pairs of runs: one where the planner chose, one where it was told the same. Were choosing free, either
 * of a pair could as well have been the other, so that the sign of the logarithm of their ratio is a coin's (Fisher's
 * randomisation test): over all signs the scenario's figure is above the bound so often.
 */
import { logRatios } from '../grid/judge.mjs';
import { centre } from './statistics.mjs';

/** Pairs whose signs are all tried; of more, as many draws as these have. */
const ALL_UP_TO = 8;

/**
 * @param {{ ratio: number, autoMs: readonly number[], toldMs: readonly number[] }} choosing
 * @param {{ bound: number, aside: number, random: () => number }} options `aside`: what the plan, told, takes of the
 *   better pure plan's time
 * @returns {number} 0 to 1
 */
export function missesByChance({ autoMs, toldMs }, { bound, aside, random }) {
  const runs = (all) => all.map((totalMs) => ({ totalMs }));
  const logs = logRatios(runs(autoMs), runs(toldMs));
  const isAll = logs.length <= ALL_UP_TO;
  const draws = 2 ** Math.min(ALL_UP_TO, logs.length);
  let misses = 0;
  for (let draw = 0; draw < draws; draw += 1) {
    const isFlipped = (pair) => (isAll ? ((draw >> pair) & 1) === 1 : random() < 0.5);
    const figure = Math.exp(centre(logs.map((log, pair) => (isFlipped(pair) ? -log : log))));
    if (aside * figure > bound) misses += 1;
  }
  return misses / draws;
}

/** Draws that are the same in every report of the same lines (mulberry32). */
export function seededDraws(seed = 1) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}
