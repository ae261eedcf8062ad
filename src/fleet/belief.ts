/**
 * What answers say about the speed of a class: a posterior over its median and its spread, on a grid.
 * Devices are taken to be logistic in octaves; an answer is yes with the chance that a device is slower, as
 * seen through randomised response. Asking where the median may lie and then updating is bisection with noisy
 * answers (Horstein 1963; Waeber, Frazier and Henderson 2013). With one bit about a threshold the noise costs a
 * factor in answers, whereas noise on the number itself, or on a histogram, grows with the range of all speeds.
 */
import { MAX_OCTAVES, octavesOf, QUESTIONS, questionNear } from './question.ts';
import { truthShare } from './randomised-bit.ts';

/** Answers to one question; not whole, since old ones fade. */
export interface Votes {
  readonly yes: number;
  readonly no: number;
}

/** By question. */
export type Ballot = readonly Votes[];

export const NO_VOTES: Ballot = Array.from({ length: QUESTIONS }, () => ({ yes: 0, no: 0 }));

export interface Belief {
  /** Octaves by which half of the devices are slower than the built-in guess. */
  readonly median: number;
  /** Standard deviation of what is known of the median, in octaves. */
  readonly doubt: number;
  /** Of one more device of this class around `median`: its spread and the doubt together. */
  readonly spread: number;
  /** A question that tells much, for the median may lie there; `draw` is uniform in `[0, 1)`. */
  ask(draw: number): number;
}

/** Where the median is looked for before any answer. */
export interface Expectation {
  readonly mean: number;
  readonly deviation: number;
}

/** The built-in guess is right within a factor of 8, more often than not. */
export const BUILT_IN: Expectation = { mean: 0, deviation: 3 };

const MEDIANS = Array.from({ length: 8 * MAX_OCTAVES + 1 }, (_, index) => index / 4 - MAX_OCTAVES);

/** Of a class whose devices are nearly alike to one whose name says little. */
const SPREADS = [0.5, 0.8, 1.2, 2];

/** Scale of a logistic distribution of deviation 1. */
const LOGISTIC_SCALE = Math.sqrt(3) / Math.PI;

/** Without noise a single answer could rule out the truth for ever: someone always mistimes. */
const LEAST_CHANCE = 1e-3;

interface Cell {
  readonly median: number;
  readonly spread: number;
  /** Logarithms of the chances of yes and no, by question. */
  readonly yes: readonly number[];
  readonly no: readonly number[];
}

export type Believe = (ballot: Ballot, expected?: Expectation) => Belief;

/** @param epsilon under which the answers were given */
export function believer(epsilon: number): Believe {
  const cells = MEDIANS.flatMap((median) => SPREADS.map((spread) => cellOf(median, spread, epsilon)));
  return (ballot, expected = BUILT_IN) => {
    const logs = cells.map((cell) => {
      let sum = -0.5 * ((cell.median - expected.mean) / expected.deviation) ** 2;
      ballot.forEach(({ yes, no }, question) => {
        if (yes + no > 0) sum += yes * (cell.yes[question] ?? 0) + no * (cell.no[question] ?? 0);
      });
      return sum;
    });
    const most = logs.reduce((all, one) => Math.max(all, one), -Infinity);
    const weights = logs.map((log) => Math.exp(log - most));
    return beliefOf(cells, weights);
  };
}

function cellOf(median: number, spread: number, epsilon: number): Cell {
  const truth = truthShare(epsilon);
  const chances = NO_VOTES.map((_, question) => {
    const slower = 1 / (1 + Math.exp((octavesOf(question) - median) / (spread * LOGISTIC_SCALE)));
    const yes = 1 - truth + (2 * truth - 1) * slower;
    return Math.min(1 - LEAST_CHANCE, Math.max(LEAST_CHANCE, yes));
  });
  return { median, spread, yes: chances.map(Math.log), no: chances.map((chance) => Math.log(1 - chance)) };
}

function beliefOf(cells: readonly Cell[], weights: readonly number[]): Belief {
  const total = weights.reduce((sum, one) => sum + one, 0);
  const mean = (of: (cell: Cell) => number): number =>
    cells.reduce((sum, cell, index) => sum + of(cell) * (weights[index] ?? 0), 0) / total;
  const median = mean((cell) => cell.median);
  const variance = mean((cell) => (cell.median - median) ** 2);
  return {
    median,
    doubt: Math.sqrt(variance),
    spread: Math.sqrt(variance + mean((cell) => cell.spread ** 2)),
    ask: (draw) => {
      let left = draw * total;
      const drawn = cells.find((_, index) => {
        left -= weights[index] ?? 0;
        return left < 0;
      });
      return questionNear(drawn?.median ?? median);
    },
  };
}
