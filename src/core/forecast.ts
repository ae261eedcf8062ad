/**
 * What a positive quantity (a round trip, a rate, a wait) will be the next time it is seen. Simple forecasters run side
 * by side over the same observations, and each counts by how near its own forecasts were of late. That no single one is
 * best for all links and loads, and that recent error tells which one is now, is Wolski, Spring and Hayes's finding
 * ("The Network Weather Service", Future Generation Computer Systems 15, 1999); that they are weighed by the likelihood of
 * what they said, with a forgetting factor, and not only the best one taken, is Raftery, Karny and Ettler's dynamic
 * model averaging (Technometrics 52, 2010): in our traces taking the best alone lost a tenth of what is gained, for
 * errors of few observations are noise too. Ours are
 *
 *     usual   what the caller's own estimator said              where it knows more than the numbers alone
 *     same    what was seen last                                after a step, and for what wanders
 *     level   exponential smoothing (Brown, 1956)               for noise round something that stays
 *     trend   the same with a damped slope (Gardner and McKenzie, 1985)      for what drifts one way
 *
 * All in logarithms: what is forecast is off by factors. A level begins anew when two observations in a row are far off
 * and agree with each other; one alone is a pause. Pure, immutable.
 */

const FORECASTERS = ['usual', 'same', 'level', 'trend'] as const;
export type Forecaster = (typeof FORECASTERS)[number];

type Each = { readonly [name in Forecaster]: number };

export interface Forecast {
  /** Logarithms of what each says comes next; `usual` is told anew each time. */
  readonly next: Omit<Each, 'usual'>;
  readonly slope: number;
  /** Of each, in favour of the others: recent squared errors against the variance. */
  readonly misses: Each;
  /** Of the logarithm of what was seen over what was forecast. */
  readonly variance: number;
  /** Observations so far, by weight, up to where more say nothing new. */
  readonly seen: number;
  /** The latest observation, as a logarithm, when it was far from the level. */
  readonly surprise?: number;
}

/** Least gain of the level; before that many observations it is their mean. */
const LEVEL_GAIN = 0.15;
const MAX_SEEN = 1 / LEVEL_GAIN;

/** Of the trend: its level heeds news sooner, its slope changes slowly and fades by itself. */
const TREND_GAIN = 0.5;
const SLOPE_GAIN = 0.2;
const DAMPING = 0.8;

/** Share of a miss that still counts after one more observation: those of the last 20 decide. */
const KEPT_MISSES = 0.95;

/** Before anything is seen: who follows every observation has to show that this is right. */
const PRIOR: Each = { usual: 1, same: 0.1, level: 1, trend: 0.1 };

/** Deviation before it is known, its least, and the weight of a new error in its square. */
const FIRST_DEVIATION = 0.15;
const LEAST_DEVIATION = 0.05;
const VARIANCE_GAIN = 0.1;

/** One error counts no more than this (a factor of 2): a pause must not decide for long. */
const MAX_ERROR = Math.log(2);

/** Runs and trips of the same kind differ by some 10%: what is off by this factor is a pause or another thing. */
const FAR = Math.log(1.5);

/** Two far observations agree within this factor, or within this part of the way (in logarithms) that they are off. */
const AGREEING = Math.log(1.35);
const AGREEING_PART = 1 / 4;

/** Observations before which misses say too little to choose by. */
const FEW = 4;

export interface Seen {
  /** What the caller's own estimator forecast for this observation. Default: the same as the last one. */
  readonly usual?: number | undefined;
  /** 0..1: how much it tells, against the most telling ones. Default 1. */
  readonly weight?: number;
}

/** `state` after a value was seen; itself when that is not a positive number. */
export function observeForecast(
  state: Forecast | undefined,
  value: number,
  { usual, weight = 1 }: Seen = {},
): Forecast | undefined {
  if (!(value > 0) || !Number.isFinite(value) || !(weight > 0)) return state;
  const seen = Math.log(value);
  const share = Math.min(1, weight);
  if (state === undefined) {
    return {
      next: { same: seen, level: seen, trend: seen },
      slope: 0,
      misses: { usual: 0, same: 0, level: 0, trend: 0 },
      variance: FIRST_DEVIATION ** 2,
      seen: share,
    };
  }
  const { next, slope, surprise } = state;
  const scored = scoredBy(state, seen, usual !== undefined && usual > 0 ? Math.log(usual) : next.same, share);
  const off = Math.abs(seen - next.level);
  const isFar = off > FAR;
  const agreeing = Math.max(AGREEING, AGREEING_PART * off);
  if (isFar && surprise !== undefined && Math.abs(seen - surprise) < agreeing) {
    const anew = (seen + surprise) / 2;
    return { ...scored, next: { same: seen, level: anew, trend: anew }, slope: 0, seen: 2 * share };
  }
  const count = Math.min(MAX_SEEN, state.seen + share);
  const isLone = isFar && surprise === undefined;
  const heeded = isLone ? 0 : Math.min(FAR, Math.max(-FAR, seen - next.level));
  const faded = DAMPING * slope;
  const here = next.trend + share * TREND_GAIN * (seen - next.trend);
  const tilt = faded + share * SLOPE_GAIN * (here - next.trend);
  return {
    ...scored,
    next: {
      same: seen,
      level: next.level + (share * heeded) / Math.max(1, count),
      trend: here + DAMPING * tilt,
    },
    slope: tilt,
    seen: count,
    ...(isFar ? { surprise: seen } : {}),
  };
}

/** What is left of `state` when so much time has passed: at last what is seen next begins it anew. */
export function fadeForecast(state: Forecast | undefined, halfLives: number): Forecast | undefined {
  if (state === undefined || !(halfLives > 0)) return state;
  const kept = 0.5 ** halfLives;
  const { usual, same, level, trend } = state.misses;
  return {
    ...state,
    seen: state.seen * kept,
    slope: state.slope * kept,
    misses: { usual: usual * kept, same: same * kept, level: level * kept, trend: trend * kept },
  };
}

/** What comes next, and who has most to say in it. `usual` is what the caller's own estimator says now. */
export function forecastOf(
  state: Forecast | undefined,
  usual: number,
): { readonly value: number; readonly by: Forecaster } {
  if (state === undefined || state.seen < FEW || !(usual > 0)) return { value: usual, by: 'usual' };
  let weights = weightsOf(state);
  const by = FORECASTERS.reduce((best, name) => (weights[name] > weights[best] ? name : best));
  // Who follows a lone surprise has a say only where following has been right.
  const isDoubted = state.surprise !== undefined && (by === 'usual' || by === 'level');
  if (isDoubted) weights = { ...weights, same: 0, trend: 0 };
  return { value: Math.exp(blend(state, Math.log(usual), weights)), by };
}

/** The misses of each after `seen`, and how far off they were together. */
function scoredBy(
  state: Forecast,
  seen: number,
  usual: number,
  share: number,
): Pick<Forecast, 'misses' | 'variance'> {
  const bounded = (told: number): number => Math.min(MAX_ERROR, Math.abs(seen - told)) ** 2;
  const gain = share * Math.max(VARIANCE_GAIN, 1 / (1 + state.seen));
  const variance = state.variance + gain * (bounded(blend(state, usual)) - state.variance);
  const spread = 2 * Math.max(LEAST_DEVIATION ** 2, variance);
  const miss = (name: Forecaster, told: number): number =>
    KEPT_MISSES ** share * state.misses[name] + (share * bounded(told)) / spread;
  const { same, level, trend } = state.next;
  return {
    variance,
    misses: {
      usual: miss('usual', usual),
      same: miss('same', same),
      level: miss('level', level),
      trend: miss('trend', trend),
    },
  };
}

function weightsOf({ misses }: Forecast): Each {
  const least = Math.min(misses.usual, misses.same, misses.level, misses.trend);
  const raw = (name: Forecaster): number => PRIOR[name] * Math.exp(least - misses[name]);
  const [usual, same, level, trend] = [raw('usual'), raw('same'), raw('level'), raw('trend')];
  const all = usual + same + level + trend;
  return { usual: usual / all, same: same / all, level: level / all, trend: trend / all };
}

function blend(state: Forecast, usual: number, weights = weightsOf(state)): number {
  const { same, level, trend } = state.next;
  const sum = weights.usual * usual + weights.same * same + weights.level * level + weights.trend * trend;
  return sum / (weights.usual + weights.same + weights.level + weights.trend);
}
