/**
 * What the link can do, from what real traffic took: pure, immutable, time passed in. A transfer's
 * `ms` run from the first byte handed over to the answer's arrival, less the time that the other end
 * worked: one round trip and the bytes' own time. The round trip is taken off before the rest is
 * read as bandwidth.
 */
import { type Forecast, fadeForecast, forecastOf, observeForecast, type Seen } from '../core/forecast.ts';
import type { LinkEstimate } from '../planner/types.ts';
import { addRoundTrip, CLOCK_TICK_MS, capRoundTrip, fadedCount, type RoundTrip } from './round-trip.ts';
import { addTransfer, fadedWeight, medianRate, type RateSample } from './transfer-rate.ts';

export type Direction = 'up' | 'down';

export type LinkObservation =
  | { readonly kind: 'rtt'; readonly ms: number }
  | { readonly kind: 'transfer'; readonly direction: Direction; readonly bytes: number; readonly ms: number };

export interface LinkState {
  readonly roundTrip: RoundTrip | undefined;
  readonly up: readonly RateSample[];
  readonly down: readonly RateSample[];
  /** One observation ahead, of each part. */
  readonly ahead: { readonly [part in LinkPart]?: Ahead };
}

export type LinkPart = 'rtt' | Direction;

interface Ahead {
  readonly forecast: Forecast;
  readonly at: number;
}

export const NEW_LINK: LinkState = { roundTrip: undefined, up: [], down: [], ahead: {} };

/**
 * Priors lie between the two presets by which Lighthouse emulates networks, "slow 4G" (150 ms,
 * 1.6 Mbit/s down, 0.75 up) and "dense 4G" (40 ms, 10 Mbit/s): the geometric means.
 */
export const PRIOR_RTT_MS = 77;
export const PRIOR_UP_BYTES_PER_SECOND = 340_000;
export const PRIOR_DOWN_BYTES_PER_SECOND = 500_000;

/** Half of what was learned is doubted after two minutes: people walk between access points. */
export const LINK_HALF_LIFE_MS = 120_000;

/** One Ethernet segment's payload: it leaves in one piece and can only tell the round trip. */
const ONE_PACKET_BYTES = 1_460;

/** Longer than any timeout on the way: such a time is a machine that slept or a clock that jumped. */
const MAX_OBSERVED_MS = 120_000;

/** Loopback on a coarse clock reads 0; a round trip is never quite that. */
const MIN_RTT_MS = 0.05;

/** Deviations of the round trip within which a transfer's surplus is taken for noise. */
const NOISE_SPREADS = 2;

/** Weight (samples) at which a part of the estimate has confidence 0.63. */
const CONFIDENCE_SCALE = 2;

/** Samples that count towards confidence in the round trip; more say nothing new. */
const MAX_COUNTED_TRIPS = 8;

/** `state` after an observation at `now` (ms, any origin); itself when it cannot be true. */
export function observeLink(state: LinkState, observation: LinkObservation, now: number): LinkState {
  const { ms } = observation;
  if (!Number.isFinite(now) || !Number.isFinite(ms) || ms < 0 || ms > MAX_OBSERVED_MS) return state;
  if (observation.kind === 'rtt') return withRoundTrip(state, ms, now);

  const { direction, bytes } = observation;
  if (!Number.isFinite(bytes) || bytes <= 0) return state;
  const { rttMs, rttSpreadMs, ...rates } = usualLink(state, now);
  const current = direction === 'up' ? rates.upBytesPerSecond : rates.downBytesPerSecond;
  if (bytes <= ONE_PACKET_BYTES) {
    // A rate believed far too low must not leave nothing of the round trip.
    return withRoundTrip(state, Math.max(ms / 2, ms - (1000 * bytes) / current), now);
  }
  const noise = Math.max(CLOCK_TICK_MS, NOISE_SPREADS * rttSpreadMs);
  const corrected = withUpperBound(state, ms, noise, now);
  const { samples, added } = addTransfer(state[direction], current, bytes, ms - rttMs, noise, now);
  if (added === undefined) return { ...corrected, [direction]: samples };
  const heaviest = Math.max(...samples.map(({ weight }) => weight));
  const seen = { usual: current, weight: added.weight / heaviest };
  const ahead = lookAhead(corrected, direction, added.bytesPerSecond, seen, now);
  return { ...corrected, [direction]: samples, ahead };
}

function withRoundTrip(state: LinkState, ms: number, now: number): LinkState {
  const seen = Math.max(MIN_RTT_MS, ms);
  const roundTrip = addRoundTrip(state.roundTrip, seen, now, LINK_HALF_LIFE_MS);
  const ahead = lookAhead(state, 'rtt', seen, { usual: state.roundTrip?.meanMs }, now);
  return { ...state, roundTrip, ahead };
}

function lookAhead(
  { ahead }: LinkState,
  part: LinkPart,
  value: number,
  seen: Seen,
  now: number,
): LinkState['ahead'] {
  const forecast = observeForecast(forecastAt(ahead[part], now), value, seen);
  return forecast === undefined ? ahead : { ...ahead, [part]: { forecast, at: now } };
}

/** A forecast with what time took from it. */
function forecastAt(ahead: Ahead | undefined, now: number): Forecast | undefined {
  if (ahead === undefined) return undefined;
  return fadeForecast(ahead.forecast, (now - ahead.at) / LINK_HALF_LIFE_MS);
}

/** A transfer done clearly sooner than a round trip was thought to take corrects that belief. */
function withUpperBound(state: LinkState, ms: number, noiseMs: number, now: number): LinkState {
  const { roundTrip } = state;
  if (roundTrip === undefined) return ms < PRIOR_RTT_MS ? withRoundTrip(state, ms, now) : state;
  if (ms >= roundTrip.meanMs - noiseMs) return state;
  return { ...state, roundTrip: capRoundTrip(roundTrip, Math.max(MIN_RTT_MS, ms)) };
}

/** The link at the next request: by whichever forecast of each part was nearest of late. */
export function estimateLink(state: LinkState, now: number): LinkEstimate {
  const usual = usualLink(state, now);
  const { ahead } = state;
  return {
    ...usual,
    rttMs: forecastOf(forecastAt(ahead.rtt, now), usual.rttMs).value,
    upBytesPerSecond: forecastOf(forecastAt(ahead.up, now), usual.upBytesPerSecond).value,
    downBytesPerSecond: forecastOf(forecastAt(ahead.down, now), usual.downBytesPerSecond).value,
  };
}

/** Ms since anything was seen of the link. */
export function unseenMs({ roundTrip, up, down }: LinkState, now: number): number {
  const seen = Math.max(roundTrip?.at ?? -Infinity, up.at(-1)?.at ?? -Infinity, down.at(-1)?.at ?? -Infinity);
  return Math.max(0, now - seen);
}

/** By the smoothed round trip and the median rates alone. */
export function usualLink(state: LinkState, now: number): LinkEstimate {
  const parts = linkConfidence(state, now);
  return {
    rttMs: state.roundTrip?.meanMs ?? PRIOR_RTT_MS,
    upBytesPerSecond: medianRate(state.up, now, LINK_HALF_LIFE_MS) ?? PRIOR_UP_BYTES_PER_SECOND,
    downBytesPerSecond: medianRate(state.down, now, LINK_HALF_LIFE_MS) ?? PRIOR_DOWN_BYTES_PER_SECOND,
    rttSpreadMs: state.roundTrip?.spreadMs ?? PRIOR_RTT_MS / 2,
    confidence: Math.min(parts.rtt, parts.up, parts.down),
  };
}

/** 0 (a prior) to 1 (measured often and just now), for each part: what a probe should look at. */
export interface LinkConfidence {
  readonly rtt: number;
  readonly up: number;
  readonly down: number;
}

export function linkConfidence(state: LinkState, now: number): LinkConfidence {
  const of = (weight: number) => 1 - Math.exp(-weight / CONFIDENCE_SCALE);
  const rate = (samples: readonly RateSample[]) =>
    of(samples.reduce((sum, sample) => sum + fadedWeight(sample, now, LINK_HALF_LIFE_MS), 0));
  const { roundTrip } = state;
  const trips =
    roundTrip === undefined
      ? 0
      : fadedCount(
          { ...roundTrip, count: Math.min(MAX_COUNTED_TRIPS, roundTrip.count) },
          now,
          LINK_HALF_LIFE_MS,
        );
  return { rtt: of(trips), up: rate(state.up), down: rate(state.down) };
}
