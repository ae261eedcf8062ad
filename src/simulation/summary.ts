/** Many episodes as a few figures. */
import { type Episode, regretOf, type Step } from './run.ts';

export interface Summary {
  readonly agent: string;
  readonly requests: number;
  readonly meanRegret: number;
  readonly medianRegret: number;
  readonly p95Regret: number;
  /** Share of requests within 1.05x of the better of all-local and all-remote. */
  readonly nearPure: number;
  /** Mean regret at the requests from a sudden change on: index 0 is the first that meets it. */
  readonly afterChange: readonly number[];
  /** Mean regret at the first requests where the device was much slower while the session opened, and nobody ever paused. */
  readonly afterOpening: readonly number[];
  /** Mean regret at the requests from a link that became better on, where nobody ever paused. */
  readonly afterGain: readonly number[];
  /** Shares of requests that ran under two plans, from the start on or from when the first was late. */
  readonly hedgedAtStart: number;
  readonly hedgedLate: number;
  /** Work for plans that were stopped, as a share of the work of all others. */
  readonly extraDevice: number;
  readonly extraEndpoint: number;
  /** Endpoint time against all-remote's, over requests that were no slower than all-remote. */
  readonly cloudShare: number;
}

const NEAR = 1.05;
const FOLLOWED = 16;

/** Slower than that by this factor, a device's first costs mislead. */
const MISLEADING = 1.5;

/** One summary per agent, in the order in which they first come. */
export function summarise(episodes: readonly Episode[]): readonly Summary[] {
  const names = [...new Set(episodes.map(({ agent }) => agent))];
  return names.map((agent) =>
    summaryOf(
      agent,
      episodes.filter((episode) => episode.agent === agent),
    ),
  );
}

function summaryOf(agent: string, episodes: readonly Episode[]): Summary {
  const steps = episodes.flatMap((episode) => episode.steps);
  const regrets = steps.map(regretOf).sort((a, b) => a - b);
  const near = steps.filter(({ ms, localMs, remoteMs }) => ms <= NEAR * Math.min(localMs, remoteMs));
  const sudden = episodes.filter(({ world }) => world.stepAt !== undefined);
  const noSlower = steps.filter(({ ms, remoteMs }) => ms <= remoteMs && remoteMs < Infinity);
  const cloud = (of: (step: Step) => number): number => noSlower.reduce((sum, step) => sum + of(step), 0);
  const total = (of: (step: Step) => number): number => steps.reduce((sum, step) => sum + of(step), 0);
  const share = (fits: (step: Step) => boolean): number =>
    steps.filter(fits).length / Math.max(1, steps.length);
  return {
    agent,
    requests: steps.length,
    meanRegret: mean(regrets),
    medianRegret: regrets[Math.floor(regrets.length / 2)] ?? 0,
    p95Regret: regrets[Math.floor(regrets.length * 0.95)] ?? 0,
    nearPure: near.length / Math.max(1, steps.length),
    afterChange: regretsFrom(sudden, ({ world }) => world.stepAt ?? 0),
    afterOpening: regretsFrom(
      episodes.filter(({ world }) => world.isBurst && world.openingFactor > MISLEADING),
      () => 0,
    ),
    afterGain: regretsFrom(sudden.filter(isLinkGain), ({ world }) => world.stepAt ?? 0),
    hedgedAtStart: share(({ hedged }) => hedged === 'at the start'),
    hedgedLate: share(({ hedged }) => hedged === 'when late'),
    extraDevice:
      total(({ extraDeviceMs }) => extraDeviceMs) /
      Math.max(
        1e-9,
        total(({ deviceMs }) => deviceMs),
      ),
    extraEndpoint:
      total(({ extraEndpointMs }) => extraEndpointMs) /
      Math.max(
        1e-9,
        total(({ endpointMs }) => endpointMs),
      ),
    cloudShare:
      cloud(({ endpointMs, extraEndpointMs }) => endpointMs + extraEndpointMs) /
      Math.max(
        1e-9,
        cloud(({ remoteEndpointMs }) => remoteEndpointMs),
      ),
  };
}

function regretsFrom(episodes: readonly Episode[], from: (episode: Episode) => number): readonly number[] {
  return Array.from({ length: FOLLOWED }, (_, offset) =>
    mean(
      episodes.flatMap((episode) => {
        const step = episode.steps[from(episode) + offset];
        return step === undefined ? [] : [regretOf(step)];
      }),
    ),
  );
}

function isLinkGain({ world: { moments, change, stepAt = 0, isBurst } }: Episode): boolean {
  if (!isBurst || (change !== 'rtt' && change !== 'bandwidth')) return false;
  const [before, after] = [moments[stepAt - 1]?.link, moments[stepAt]?.link];
  if (before === undefined || after === undefined) return false;
  return after.rttMs < before.rttMs || after.upBytesPerSecond > before.upBytesPerSecond;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
