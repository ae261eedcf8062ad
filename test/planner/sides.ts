/** Sides and links with chosen speeds, for pricing made-up manifests. */
import { priorSide, scaleSide } from '../../src/device/prior.ts';
import { wholeMs } from '../../src/device/span-ms.ts';
import type { Manifest } from '../../src/package/manifest.ts';
import type { ChooseInput } from '../../src/planner/choose.ts';
import type {
  BlockCost,
  EndpointSide,
  LinkEstimate,
  Prediction,
  PricedPlan,
  SideProfile,
} from '../../src/planner/types.ts';

export const WORKLOAD = { units: 64_000, tokens: 20 };

/** A side on which every block costs `onceMs` (at `WORKLOAD`), `initMs` or `stepMs`. */
export function flatSide(manifest: Manifest, onceMs: number, initMs: number, stepMs: number): SideProfile {
  const blocks = manifest.blocks.map((block): BlockCost => {
    if (manifest.stages[block.stage]?.kind === 'once') {
      return { once: { base: 0, perUnit: onceMs / WORKLOAD.units } };
    }
    return { init: { base: initMs, perUnit: 0 }, step: { base: stepMs, perUnit: 0 } };
  });
  return { provider: 'wasm', blocks, confidence: 1 };
}

/** A side that runs the whole model on `WORKLOAD` in `ms`. */
export function sideOf(manifest: Manifest, ms: number): SideProfile {
  const prior = priorSide(manifest, 'wasm');
  const factor = ms / wholeMs(prior, manifest, WORKLOAD);
  return scaleSide(prior, factor, { provider: 'wasm', confidence: 1 });
}

export function endpointOf(side: SideProfile, queueMs = 0): EndpointSide {
  return { side: { ...side, provider: 'cpu' }, queueMs };
}

export function linkOf(rttMs: number, up: number, down: number): LinkEstimate {
  return { rttMs, upBytesPerSecond: up, downBytesPerSecond: down, rttSpreadMs: rttMs / 10, confidence: 1 };
}

/** Weights all here, sessions built, endpoint up: only what a test is about differs. */
export function inputOf(manifest: Manifest, overrides: Partial<ChooseInput> = {}): ChooseInput {
  return {
    manifest,
    workload: WORKLOAD,
    device: sideOf(manifest, 400),
    endpoint: endpointOf(sideOf(manifest, 80)),
    link: linkOf(30, 1e6, 2e6),
    missingWeightBytes: () => 0,
    choice: 'auto',
    codecs: ['fp32', 'fp16', 'int8'],
    endpointState: 'up',
    weightsReachable: true,
    ...overrides,
  };
}

/** A priced plan that takes `totalMs`, all of it before the first token unless `ttftMs` says otherwise. */
export function planOf(
  kind: PricedPlan['kind'],
  totalMs: number,
  more: Partial<Prediction> = {},
): PricedPlan {
  const isLocal = kind === 'local';
  const prediction: Prediction = {
    totalMs,
    ttftMs: totalMs,
    deviceMs: isLocal ? totalMs : 0,
    endpointMs: isLocal ? 0 : totalMs / 2,
    linkMs: isLocal ? 0 : totalMs / 2,
    weightsMs: 0,
    bytesUp: isLocal ? 0 : 100_000,
    bytesDown: isLocal ? 0 : 100,
    weightBytes: 0,
    roundTrips: isLocal ? 0 : 1,
    ...more,
  };
  const cut = isLocal ? 14 : kind === 'remote' ? 0 : 3;
  const codec = isLocal ? 'none' : 'fp32';
  const shape = { id: kind, kind, cut, codec, provider: 'wasm', leaves: [] } as const;
  return { ...shape, prediction, score: prediction.totalMs, joules: 0 };
}
