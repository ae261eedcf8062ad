/** What a session is put together from: what differs between a browser, Node and tests. */
import type { Clock } from '../core/clock.ts';
import type { Codec } from '../core/span.ts';
import type { FleetClass } from '../fleet/device-class.ts';
import type { Manifest } from '../package/manifest.ts';
import type { HedgeOption } from '../planner/hedge.ts';
import type { GoalOptions } from '../planner/objective.ts';
import type { DeviceRunner, ExecutionProvider } from '../runtime/runner.ts';
import type { FarWords } from '../runtime/words.ts';
import type { JsonStore } from '../storage/json-store.ts';
import type { Connect } from '../transport/transport.ts';
import type { DeviceSide } from './device-side.ts';
import type { EndpointLink } from './endpoint-link.ts';
import type { Knowledge } from './knowledge.ts';
import type { PlanChoice, SessionEvent } from './types.ts';

export interface SessionParts {
  readonly manifest: Manifest;
  /** SHA-256 over what identifies the model's contents. */
  readonly modelId: string;
  readonly runner: DeviceRunner;
  /** Starts another runner on the same package. */
  readonly startRunner: (provider: ExecutionProvider) => Promise<DeviceRunner>;
  /** Providers worth measuring against `runner`'s, e.g. `webgpu` where an adapter answers. */
  readonly rivals: () => Promise<readonly ExecutionProvider[]>;
  readonly connect?: Connect;
  /** Of `connect`'s endpoint, should it tell of words. */
  readonly farWords?: FarWords;
  /** True when weights come from another place than the endpoint. */
  readonly weightsElsewhere: boolean;
  readonly profiles: JsonStore;
  readonly clock: Clock;
  /** A signal that aborts after so many ms, with a `TimeoutError`. Default `AbortSignal.timeout`. */
  readonly timeout?: (ms: number) => AbortSignal;
  readonly agent: string;
  /** Absent where there is nobody to share experience with. Nothing of it is used without consent. */
  readonly fleet?: FleetAccess;
}

/** How a session shares experience, where its user agreed. */
export interface FleetAccess {
  readonly deviceClass: FleetClass;
  /**
   * Sends nothing but this, without cookies; a GET where there is no body. Resolves with the answer's body, which is
   * at most `MAX_FLEET_BYTES` long. Rejects with `endpoint-lost` or what the endpoint answered.
   */
  exchange(
    path: string,
    options: { readonly body?: string; readonly signal: AbortSignal },
  ): Promise<Uint8Array>;
  /** A whole number of 32 bits that nobody can predict. */
  word(): number;
}

export interface OpenOptions extends GoalOptions {
  readonly plan?: PlanChoice;
  readonly codecs?: readonly Codec[];
  readonly fallback?: boolean;
  readonly hedge?: HedgeOption;
  readonly prefetch?: boolean;
  readonly shareExperience?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: SessionEvent) => void;
}

/** What the pieces of one session share. */
export interface Shared {
  readonly parts: SessionParts;
  readonly options: OpenOptions;
  readonly device: DeviceSide;
  readonly knowledge: Knowledge;
  /** Absent where there is no endpoint. */
  readonly link: EndpointLink | undefined;
  readonly emit: (event: SessionEvent) => void;
  readonly timeout: (ms: number) => AbortSignal;
}
