/** Many episodes of text as a few figures. */
import type { TextEpisode, TextStep } from './play-text.ts';

export interface TextSummary {
  readonly agent: string;
  readonly requests: number;
  readonly meanRegret: number;
  readonly p95Regret: number;
  /** Share of requests within 1.05x of the better of all-local and all-remote. */
  readonly nearPure: number;
  /** Mean regret at the requests from a sudden change on: index 0 is the first that meets it. */
  readonly afterChange: readonly number[];
  /** Mean regret of requests that come while weights are on their way, and of the first of each world. */
  readonly coldRegret: number;
  readonly firstRegret: number;
  /** Endpoint time against all-remote's, over requests that were no slower than all-remote. */
  readonly cloudShare: number;
  /** Median ms until the first token. */
  readonly medianTtftMs: number;
  /** Share of requests that moved on the way, and that ran on a cut at some time. */
  readonly moved: number;
  readonly cut: number;
}

const NEAR = 1.05;
const FOLLOWED = 12;

export function textRegretOf({ ms, oracle }: Pick<TextStep, 'ms' | 'oracle'>): number {
  return ms / oracle.ms - 1;
}

/** One summary per player, in the order in which they first come. */
export function summariseText(episodes: readonly TextEpisode[]): readonly TextSummary[] {
  const names = [...new Set(episodes.map(({ agent }) => agent))];
  return names.map((agent) =>
    summaryOf(
      agent,
      episodes.filter((one) => one.agent === agent),
    ),
  );
}

function summaryOf(agent: string, episodes: readonly TextEpisode[]): TextSummary {
  const steps = episodes.flatMap((one) => one.steps).filter(({ ms }) => ms < Infinity);
  const regrets = steps.map(textRegretOf).sort((a, b) => a - b);
  const noSlower = steps.filter(({ ms, remoteMs }) => ms <= remoteMs && remoteMs < Infinity);
  const cold = episodes.flatMap(({ world, steps: all }) =>
    all.filter(({ index, ms }) => world.isCold && index < COLD_REQUESTS && ms < Infinity),
  );
  const sudden = episodes.filter(({ world }) => world.stepAt !== undefined);
  const ttfts = steps.map(({ ttftMs }) => ttftMs).sort((a, b) => a - b);
  return {
    agent,
    requests: steps.length,
    meanRegret: mean(regrets),
    p95Regret: regrets[Math.floor(regrets.length * 0.95)] ?? 0,
    nearPure: share(steps, ({ ms, localMs, remoteMs }) => ms <= NEAR * Math.min(localMs, remoteMs)),
    afterChange: Array.from({ length: FOLLOWED }, (_, offset) =>
      mean(
        sudden.flatMap(({ world, steps: all }) =>
          all
            .filter(({ index, ms }) => index === (world.stepAt ?? 0) + offset && ms < Infinity)
            .map(textRegretOf),
        ),
      ),
    ),
    coldRegret: mean(cold.map(textRegretOf)),
    firstRegret: mean(steps.filter(({ index }) => index === 0).map(textRegretOf)),
    cloudShare:
      sum(noSlower.map(({ endpointMs }) => endpointMs)) /
      Math.max(1e-9, sum(noSlower.map(({ remoteEndpointMs }) => remoteEndpointMs))),
    medianTtftMs: ttfts[Math.floor(ttfts.length / 2)] ?? 0,
    moved: share(steps, ({ plan }) => plan.includes('>')),
    cut: share(steps, ({ plan }) => plan.includes('split')),
  };
}

/** Of a first visit, those that weights mostly miss. */
const COLD_REQUESTS = 4;

function share(steps: readonly TextStep[], fits: (step: TextStep) => boolean): number {
  return steps.filter(fits).length / Math.max(1, steps.length);
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / Math.max(1, values.length);
}
