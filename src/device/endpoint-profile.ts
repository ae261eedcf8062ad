/**
 * What is known of an endpoint: the same learned costs as for the device, from the times that it
 * reports with each request, and how long it lets requests wait. Reports come from outside: what
 * does not fit the model is left out, and no time is believed without bounds.
 */
import { stageExtents } from '../core/extents.ts';
import { type Forecast, forecastOf, observeForecast } from '../core/forecast.ts';
import { PHASES, type Phase, type Segment } from '../core/span.ts';
import type { Manifest } from '../package/manifest.ts';
import type { EndpointSide, SideProfile, Workload } from '../planner/types.ts';
import { AGREEING_RATIO, FAR_RATIO, isPlausibleMs, isSegmentOf, unmeasured } from './learned-profile.ts';
import { nextSide, observeRuns, type PacedSide, type Run, unpaced } from './paced-side.ts';
import { scaleSide } from './prior.ts';

export interface EndpointProfile extends PacedSide {
  /** Ms of waiting per turn, latest last. */
  readonly queue: readonly number[];
  /** Of the wait at the next turn; see `SHORT_WAIT_MS`. */
  readonly wait: Forecast | undefined;
}

/** What a finished request said, with what was asked of it. */
export interface EndpointReport {
  /** Total runtime ms of the request by `stage:from-to:phase`. */
  readonly segments: Readonly<Record<string, number>>;
  /** Total ms of waiting for a turn. */
  readonly queueMs: number;
  /** Times that the request had to wait: its round trips. */
  readonly turns: number;
  /** Units asked for, and steps that the endpoint really ran. */
  readonly workload: Workload;
}

/**
 * How much faster than this device an endpoint is taken to be before it has answered once: native
 * kernels on one thread are 1.4 to 8 times faster than the same in WASM (the design notes' table).
 */
const ENDPOINT_SPEEDUP_PRIOR = 3;

/** Waits kept: the median follows a change of load within 5 requests. */
const QUEUE_WINDOW = 9;

/** Added to a wait before it is forecast as a factor: below it waits are alike, and most are 0. */
const SHORT_WAIT_MS = 5;

/** A report lists a segment per span and phase; a longer one is not read to its end. */
const MAX_REPORTED_SEGMENTS = 1024;

/** Before the first answer: the device's own costs, scaled, as a guess. */
export function endpointPrior(device: SideProfile): EndpointProfile {
  const guess = scaleSide(device, 1 / ENDPOINT_SPEEDUP_PRIOR, { provider: 'cpu', confidence: 0 });
  return { ...unpaced(unmeasured(guess)), queue: [], wait: undefined };
}

/** `profile` after one more finished request. */
export function observeEndpoint(
  profile: EndpointProfile,
  manifest: Manifest,
  report: EndpointReport,
): EndpointProfile {
  const extents = stageExtents(manifest, report.workload.units);
  const { tokens } = report.workload;
  const runs = Object.entries(report.segments)
    .slice(0, MAX_REPORTED_SEGMENTS)
    .flatMap(([key, ms]): readonly Run[] => {
      const told = believed(manifest, key, ms);
      if (told === undefined) return [];
      const { segment, phase } = told;
      if (phase !== 'step') return [{ segment, phase, units: extents[segment.stage] ?? 0, ms, runs: 1 }];
      return tokens > 0 ? [{ segment, phase, units: 1, ms: ms / tokens, runs: tokens }] : [];
    });
  return addWait({ ...profile, ...observeRuns(profile, runs) }, report);
}

/** One run of a segment for whomever, as an endpoint tells it to who asks nothing. */
export interface ServedRun {
  readonly segment: string;
  readonly units: number;
  readonly ms: number;
}

/** `profile` after the endpoint told how long an answer would wait now, and what segments took there of late. */
export function observeServed(
  profile: EndpointProfile,
  manifest: Manifest,
  queueMs: number,
  served: readonly ServedRun[],
): EndpointProfile {
  const runs = served
    .slice(0, MAX_REPORTED_SEGMENTS)
    .flatMap(({ segment: key, units, ms }): readonly Run[] => {
      const told = believed(manifest, key, ms);
      // Rows of a prompt run together tell nothing of a step.
      if (told === undefined || (told.phase === 'step' && units !== 1)) return [];
      return [{ ...told, units, ms, runs: 1 }];
    });
  const known = { ...profile, ...observeRuns(profile, runs) };
  // A mean of late, not one answer's wait: it stands for all that was seen before it.
  return isPlausibleMs(queueMs)
    ? addWait({ ...known, queue: [], wait: undefined }, { queueMs, turns: 1 })
    : known;
}

/** What a key names, where the model has it and the time may be one. */
function believed(manifest: Manifest, key: string, ms: number): ReturnType<typeof parseSegmentKey> {
  const told = parseSegmentKey(key);
  return told !== undefined && isSegmentOf(manifest, told.segment) && isPlausibleMs(ms) ? told : undefined;
}

function addWait(
  profile: EndpointProfile,
  { queueMs, turns }: Pick<EndpointReport, 'queueMs' | 'turns'>,
): EndpointProfile {
  if (!isPlausibleMs(queueMs) || !(turns >= 1)) return profile;
  const waitMs = queueMs / turns;
  const { queue } = profile;
  const before = queue.at(-1);
  const usual = before === undefined ? undefined : queueQuantile(profile, 0.5) + SHORT_WAIT_MS;
  const isChanged = before !== undefined && usual !== undefined && hasChanged(usual, before, waitMs);
  return {
    ...profile,
    queue: isChanged ? [before, waitMs] : [...queue, waitMs].slice(-QUEUE_WINDOW),
    wait: observeForecast(profile.wait, waitMs + SHORT_WAIT_MS, { usual }),
  };
}

/** Whether two waits say that what was usual is no longer, as two surprises do of costs: the median would after five. */
function hasChanged(usualMs: number, before: number, now: number): boolean {
  const off = (waitMs: number): number => Math.log((waitMs + SHORT_WAIT_MS) / usualMs);
  const least = Math.min(off(before), off(now));
  const most = Math.max(off(before), off(now));
  const far = Math.log(FAR_RATIO);
  return (least > far || most < -far) && most - least < Math.log(AGREEING_RATIO);
}

/** Wait per turn, in ms, that a share `quantile` (0..1) of the latest requests stayed under. */
export function queueQuantile(profile: EndpointProfile, quantile: number): number {
  const sorted = [...profile.queue].sort((a, b) => a - b);
  const index = Math.min(sorted.length - 1, Math.floor(quantile * sorted.length));
  return sorted[Math.max(0, index)] ?? 0;
}

/** What the planner takes: costs and the wait as they are forecast for the next request. */
export function endpointSide(profile: EndpointProfile): EndpointSide {
  const usual = queueQuantile(profile, 0.5);
  const { value } = forecastOf(profile.wait, usual + SHORT_WAIT_MS);
  return { side: nextSide(profile), queueMs: Math.max(0, value - SHORT_WAIT_MS) };
}

/** Reads `stage:from-to:phase`; `undefined` for anything else. */
export function parseSegmentKey(
  key: string,
): { readonly segment: Segment; readonly phase: Phase } | undefined {
  const match = /^(\d{1,9}):(\d{1,9})-(\d{1,9}):([a-z]+)$/.exec(key);
  const phase = PHASES.find((name) => name === match?.[4]);
  if (match === null || phase === undefined) return undefined;
  return {
    segment: { stage: Number(match[1]), from: Number(match[2]), to: Number(match[3]) },
    phase,
  };
}
