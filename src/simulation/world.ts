/**
 * A made-up world that requests pass through: what device, endpoint and link really can at each of them. What a
 * planner sees of it is noisy and late; what a plan really takes is computed here with nothing unknown.
 */
import { priorSide, scaleCost, scaleSide } from '../device/prior.ts';
import { wholeMs } from '../device/span-ms.ts';
import type { Manifest } from '../package/manifest.ts';
import { type CostModel, costModel } from '../planner/cost.ts';
import type { LinkEstimate, SideProfile, Workload } from '../planner/types.ts';
import { usualWorkload } from '../session/planning.ts';
import { type Random, seeded } from './random.ts';

/** What holds during one request. */
export interface Moment {
  /** Ms since the request before was over. */
  readonly pauseMs: number;
  readonly workload: Workload;
  /** Most tokens that the request may make. */
  readonly maxTokens: number;
  readonly link: LinkEstimate;
  /** How much slower than at the beginning. */
  readonly deviceFactor: number;
  readonly endpointFactor: number;
  readonly queueMs: number;
  readonly isUp: boolean;
}

export type Change = 'none' | 'rtt' | 'bandwidth' | 'device' | 'load' | 'drift' | 'bursts' | 'outage';

export interface World {
  readonly manifest: Manifest;
  readonly device: SideProfile;
  readonly endpoint: SideProfile;
  readonly moments: readonly Moment[];
  readonly change: Change;
  /** How many times slower the device was while the session opened, when other work held its cores. */
  readonly openingFactor: number;
  /** Requests follow each other without a quiet. */
  readonly isBurst: boolean;
  /** Index of the first request after a sudden change; absent where there is none. */
  readonly stepAt?: number;
}

/** The presets of the benchmark's grid: round trip in ms, Mbit/s down and up. */
export const LINKS = {
  lan: { rttMs: 2, down: 100, up: 100 },
  wifi: { rttMs: 20, down: 30, up: 30 },
  '4g': { rttMs: 50, down: 10, up: 5 },
  '3g': { rttMs: 150, down: 1.6, up: 0.75 },
} as const;

export const CHANGES: readonly [Change, ...Change[]] = [
  'none',
  'rtt',
  'bandwidth',
  'device',
  'load',
  'drift',
  'bursts',
  'outage',
];

const BYTES_PER_MEGABIT = 1e6 / 8;

/** How unlike the manifest's sizes blocks are in truth. */
const BLOCK_DEVIATION = 0.3;

/** Ms of the whole model for the typical work: a fast desktop to a slow phone. */
const DEVICE_MS = { low: 150, high: 5000 };
const ENDPOINT_SPEEDUP = { low: 0.8, high: 10 };

/** A change for the better or the worse by so much. */
const CHANGE_FACTOR = { low: 2, high: 8 };

const PAUSE_MS = { low: 1_000, high: 60_000 };

/** Who asks without a pause, and how many do. */
const BURST_PAUSE_MS = { low: 50, high: 1_000 };
const BURST_SHARE = 1 / 3;

/** In Chromium devices were believed 1.2 to 5.6 times slower than they were when other tabs or sessions opened too. */
const OPENING_FACTOR = { low: 1, high: 6 };
const BUSY_OPENING_SHARE = 1 / 2;

/** Draws of its own, so that what a seed stands for otherwise stays. */
const MANNER_SALT = 0x6f70656e;
const QUEUE_MS = { low: 5, high: 300 };
const LOADED_SHARE = 1 / 3;

/** Requests in a row that an outage, or a burst, lasts. */
const SPELL = 4;

/** Of each step of a drift, in the logarithm. */
const DRIFT_DEVIATION = 0.08;

export interface WorldOptions {
  readonly manifest: Manifest;
  readonly requests: number;
  /** Units of the shortest and the longest request, and the tokens that a unit stands for. */
  readonly units: { readonly low: number; readonly high: number };
  readonly tokensPerUnit: number;
  readonly seed: number;
}

export function makeWorld(options: WorldOptions): World {
  const { manifest, requests } = options;
  const random = seeded(options.seed);
  const change = random.pick(CHANGES);
  const preset = random.pick(Object.values(LINKS) as [(typeof LINKS)['lan'], ...(typeof LINKS)['lan'][]]);
  const deviceMs = random.logBetween(DEVICE_MS.low, DEVICE_MS.high);
  const speedup = random.logBetween(ENDPOINT_SPEEDUP.low, ENDPOINT_SPEEDUP.high);
  const factor = random.logBetween(CHANGE_FACTOR.low, CHANGE_FACTOR.high) ** random.pick([-1, 1]);
  const isLoaded = random.next() < LOADED_SHARE;
  const baseQueue = isLoaded ? random.logBetween(QUEUE_MS.low, QUEUE_MS.high) : 0;
  const stepAt = Math.floor(requests / 2);
  const base = {
    rttMs: preset.rttMs * random.factor(0.3),
    up: preset.up * BYTES_PER_MEGABIT * random.factor(0.3),
    down: preset.down * BYTES_PER_MEGABIT * random.factor(0.3),
  };
  const manner = seeded(options.seed ^ MANNER_SALT);
  const isBusy = manner.next() < BUSY_OPENING_SHARE;
  const openingFactor = isBusy ? manner.logBetween(OPENING_FACTOR.low, OPENING_FACTOR.high) : 1;
  const isBurst = manner.next() < BURST_SHARE;
  const pause = isBurst ? BURST_PAUSE_MS : PAUSE_MS;
  let wander = 1;
  const moments = Array.from({ length: requests }, (_, index): Moment => {
    const pauseMs = random.logBetween(pause.low, pause.high);
    wander *= random.factor(DRIFT_DEVIATION);
    const inSpell = index >= stepAt && (index - stepAt) % (3 * SPELL) < SPELL;
    const past = index >= stepAt;
    const on = (kind: Change): number => (change === kind && past ? factor : 1);
    const burst = change === 'bursts' && inSpell ? Math.max(factor, 1 / factor) : 1;
    const drift = change === 'drift' ? wander : 1;
    const units = Math.round(random.logBetween(options.units.low, options.units.high));
    const bound = Math.max(1, Math.ceil(units * options.tokensPerUnit * 2));
    const tokens = Math.max(1, Math.round(units * options.tokensPerUnit * random.factor(0.25)));
    return {
      pauseMs,
      workload: { ...usualWorkload(manifest, units), tokens: Math.min(bound, tokens) },
      maxTokens: bound,
      link: {
        rttMs: base.rttMs * on('rtt') * burst * drift,
        upBytesPerSecond: base.up / (on('bandwidth') * burst * drift),
        downBytesPerSecond: base.down / (on('bandwidth') * burst * drift),
        rttSpreadMs: base.rttMs / 10,
        confidence: 1,
      },
      deviceFactor: on('device') * (change === 'drift' ? 1 / wander : 1),
      endpointFactor: Math.max(1, on('load')),
      queueMs: baseQueue * on('load') + (change === 'load' && past && factor > 1 ? QUEUE_MS.low * factor : 0),
      isUp: !(change === 'outage' && inSpell),
    };
  });
  const isSudden = change === 'rtt' || change === 'bandwidth' || change === 'device' || change === 'load';
  const typical = moments[0]?.workload ?? { units: options.units.low, tokens: 1 };
  const device = sideTaking(manifest, deviceMs, typical, random);
  return {
    manifest,
    device,
    endpoint: { ...sideTaking(manifest, deviceMs / speedup, typical, random), provider: 'cpu' },
    moments,
    change,
    openingFactor,
    isBurst,
    ...(isSudden ? { stepAt } : {}),
  };
}

/** A side that takes `ms` for the typical work, each block more or less than its size says. */
export function sideTaking(manifest: Manifest, ms: number, typical: Workload, random: Random): SideProfile {
  const prior = priorSide(manifest, 'wasm');
  const blocks = prior.blocks.map((cost) => {
    const own = random.factor(BLOCK_DEVIATION);
    return scaleCost(cost, () => own);
  });
  const uneven = { ...prior, blocks };
  return scaleSide(uneven, ms / wholeMs(uneven, manifest, typical), { provider: 'wasm', confidence: 1 });
}

/** The planner's own cost model with the truth in place of every estimate. */
export function trueCosts(world: World, moment: Moment): CostModel {
  const { manifest, device, endpoint } = world;
  const sure = { confidence: 1 };
  return costModel({
    manifest,
    workload: moment.workload,
    device: scaleSide(device, moment.deviceFactor, { provider: 'wasm', ...sure }),
    endpoint: {
      side: scaleSide(endpoint, moment.endpointFactor, { provider: 'cpu', ...sure }),
      queueMs: moment.queueMs,
    },
    link: moment.link,
    missingWeightBytes: () => 0,
  });
}
