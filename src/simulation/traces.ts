/**
 * How far forecasts are off over traces of a quantity (a round trip, a rate, a pace, a wait) that stays, steps, drifts,
 * comes in bursts or stalls, against those who say "the same as last time". Pure.
 */
import { estimateLink, type LinkState, NEW_LINK, observeLink, usualLink } from '../link/estimator.ts';
import { type Random, seeded } from './random.ts';

/** The truth at each observation, as a factor. */
type Trace = (random: Random) => (index: number) => number;

export const TRACES: { readonly [name: string]: Trace } = {
  stays: () => () => 1,
  steps: (random) => {
    const factor = random.logBetween(2, 8) ** random.pick([-1, 1]);
    return (index) => (index < LENGTH / 2 ? 1 : factor);
  },
  wanders: (random) => {
    let at = 1;
    return () => {
      at *= random.factor(0.08);
      return at;
    };
  },
  'drifts one way': (random) => {
    const slope = random.between(-0.06, 0.06);
    return (index) => Math.exp(slope * index);
  },
  bursts: (random) => {
    const factor = random.logBetween(2, 8);
    return (index) => (index % 12 < 4 ? factor : 1);
  },
  // A link that is out answers when it is back: one very late answer.
  outages: (random) => () => (random.next() < 0.08 ? random.logBetween(3, 10) : 1),
};

const LENGTH = 60;

/** Observations before the first forecast that counts. */
const WARM = 5;

/** Ms; the middle of a 4G link's round trips. */
const TYPICAL_MS = 50;

/** Deviations of the logarithm of what is seen round what is: a quiet link, a usual one, a busy radio cell. */
export const NOISES = [0.05, 0.12, 0.25] as const;

/** Errors beyond a factor of e^2 count as that: some are without end. */
const MAX_ERROR = 2;

export interface TraceError {
  readonly trace: string;
  readonly noise: number;
  /** Mean absolute errors, as a share, against the truth without its noise. */
  readonly forecast: number;
  readonly same: number;
  /** Of the smoothed round trip alone. */
  readonly smoothed: number;
}

/** Each trace with each noise, `count` times. */
export function traceErrors(count: number, seed: number): readonly TraceError[] {
  return Object.entries(TRACES).flatMap(([trace, make]) =>
    NOISES.map((noise) => {
      const sums = { forecast: 0, same: 0, smoothed: 0 };
      for (let index = 0; index < count; index += 1) play(make, noise, seeded(seed + index), sums);
      const all = count * (LENGTH - WARM);
      return {
        trace,
        noise,
        forecast: sums.forecast / all,
        same: sums.same / all,
        smoothed: sums.smoothed / all,
      };
    }),
  );
}

function play(
  make: Trace,
  noise: number,
  random: Random,
  sums: { forecast: number; same: number; smoothed: number },
): void {
  const factorAt = make(random);
  let link: LinkState = NEW_LINK;
  let last = TYPICAL_MS;
  for (let index = 0; index < LENGTH; index += 1) {
    const truth = TYPICAL_MS * factorAt(index);
    if (index >= WARM) {
      sums.forecast += errorOf(estimateLink(link, 0).rttMs, truth);
      sums.smoothed += errorOf(usualLink(link, 0).rttMs, truth);
      sums.same += errorOf(last, truth);
    }
    last = truth * random.factor(noise);
    link = observeLink(link, { kind: 'rtt', ms: last }, 0);
  }
}

function errorOf(said: number, truth: number): number {
  return Math.min(MAX_ERROR, Math.abs(Math.log(said / truth)));
}
