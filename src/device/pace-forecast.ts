/**
 * How fast a side will be at its next request, as a factor on what its profile says. The profile follows slowly, by
 * design; where a side wanders or was changed, what it just did says more, and where it does not, an average over
 * many requests says more. Which holds is told by the forecasts' own errors. Pure, immutable.
 */
import { type Forecast, type Forecaster, forecastOf, observeForecast } from '../core/forecast.ts';

export interface PaceForecast {
  /** By how much the profile has been corrected since the first observation, as a factor. */
  readonly corrected: number;
  /** Of the same factor, had each request been known before it ran. */
  readonly index: Forecast | undefined;
}

export const NEW_PACE: PaceForecast = { corrected: 1, index: undefined };

/** Ms of the same work. */
export interface PaceSeen {
  readonly measuredMs: number;
  /** By the profile before it learned of this measurement, and after. */
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** A correction of more than this is a guess that was wrong: what came before it says nothing of the side. */
const MAX_RATIO = 4;

export function observePace(pace: PaceForecast, { measuredMs, beforeMs, afterMs }: PaceSeen): PaceForecast {
  if (![measuredMs, beforeMs, afterMs].every((ms) => ms > 0 && Number.isFinite(ms))) return pace;
  const ratio = measuredMs / beforeMs;
  if (ratio > MAX_RATIO || ratio < 1 / MAX_RATIO) return NEW_PACE;
  return {
    corrected: pace.corrected * (afterMs / beforeMs),
    index: observeForecast(pace.index, pace.corrected * ratio, { usual: pace.corrected }),
  };
}

/** What the profile's times are to be multiplied by, for the next request. */
export function paceFactor({ corrected, index }: PaceForecast): {
  readonly factor: number;
  readonly by: Forecaster;
} {
  const { value, by } = forecastOf(index, corrected);
  return { factor: value / corrected, by };
}
