/** Words of the planner. All times in ms, all sizes in bytes, all rates in bytes per second. */
import type { Codec } from '../core/span.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';

export type PlanKind = 'local' | 'remote' | 'split';

/** A plan before it is priced. Cut `k` has blocks `0..k-1` on the device. */
export interface PlanShape {
  /** Stable name: `local`, `remote`, `split@7/int8`. */
  readonly id: string;
  readonly kind: PlanKind;
  readonly cut: number;
  /** `none` for `local`. */
  readonly codec: Codec | 'none';
}

export interface Prediction {
  /** Until the whole result is there. */
  readonly totalMs: number;
  /** Until the first token. */
  readonly ttftMs: number;
  readonly deviceMs: number;
  readonly endpointMs: number;
  /** Crossing time: transfer and round trips. */
  readonly linkMs: number;
  /** Fetching weights that are not here yet. */
  readonly weightsMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly weightBytes: number;
  readonly roundTrips: number;
}

export interface PricedPlan extends PlanShape {
  readonly provider: ExecutionProvider;
  readonly prediction: Prediction;
  /** What the objective makes of the prediction, in ms of waiting; the least is taken. */
  readonly score: number;
  /** From the user's battery; an estimate (see `EnergyRates`). */
  readonly joules: number;
  /** Names of the tensors that leave the device, by what they are. */
  readonly leaves: readonly string[];
  /** Why the plan may not run, when a limit rules it out. */
  readonly rejected?: string;
}

/** How large the request is, in the manifest's own units. */
export interface Workload {
  /** Units of the first once stage (samples of audio). */
  readonly units: number;
  /** Tokens expected to be generated. */
  readonly tokens: number;
  /** Of the model's inputs, bytes on the wire for each byte of theirs; 0.5 for 16-bit samples. Default 1. */
  readonly inputRatio?: number;
}

/** `a + b * n` ms, measured: n is units for `once`, rows of context for `init`, 1 per step. */
export interface PhaseCost {
  readonly base: number;
  readonly perUnit: number;
}

/** Ms of each block by phase, on one side. Missing phases cost nothing. */
export interface BlockCost {
  readonly once?: PhaseCost;
  readonly init?: PhaseCost;
  readonly step?: PhaseCost;
}

export interface SideProfile {
  readonly provider: ExecutionProvider;
  readonly blocks: readonly BlockCost[];
  /** 0 (a guess) to 1 (measured on this very work many times). */
  readonly confidence: number;
}

export interface LinkEstimate {
  readonly rttMs: number;
  readonly upBytesPerSecond: number;
  readonly downBytesPerSecond: number;
  /** Mean absolute deviation of the round-trip time. */
  readonly rttSpreadMs: number;
  readonly confidence: number;
}

export type EndpointState = 'up' | 'down' | 'unknown';

/** What the planner knows of an endpoint. */
export interface EndpointSide {
  readonly side: SideProfile;
  /** Ms of waiting for a turn, expected at each round trip. */
  readonly queueMs: number;
}
