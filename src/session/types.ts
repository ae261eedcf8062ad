/** What a user of the library sees of a session. Times in ms, sizes in bytes. */
import type { Codec } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import type { IsthmusError } from '../errors.ts';
import type { Manifest } from '../package/manifest.ts';
import type { HedgeOption } from '../planner/hedge.ts';
import type { GoalOptions } from '../planner/objective.ts';
import type { EndpointState, LinkEstimate, PricedPlan, Workload } from '../planner/types.ts';
import type { ExecutionProvider } from '../runtime/runner.ts';
import type { FarWords, Words } from '../runtime/words.ts';
import type { PlanPeriod, RunTextOptions, RunTextResult, TextPlan } from './text/types.ts';

/** `auto` lets the planner choose; the others force it. `cut` counts blocks on the device. */
export type PlanChoice = 'auto' | 'local' | 'remote' | { readonly cut: number; readonly codec?: Codec };

/** What plans are to be good at, and what they may not do, is said by `GoalOptions`; a request may override each. */
export interface SessionOptions extends GoalOptions {
  /**
   * Base URL of the endpoint. Default: the origin that serves the package. `null` means there is
   * none and everything runs here.
   */
  readonly endpoint?: string | null;
  /** Default `auto`. A request may override it. */
  readonly plan?: PlanChoice;
  /**
   * When a plan fails on the way, go on with another. Default true. A forced plan falls back to
   * `local` alone: what the user did not allow to leave the device does not leave it.
   */
  readonly fallback?: boolean;
  /**
   * `auto` (default): a second plan, all here or all on the endpoint, runs beside the first where it is in doubt
   * which is faster, or when the first is late; whichever is done first is taken and the other one stopped. It keeps
   * to the objective, the mode and all limits, fetches no weights, and never runs beside a forced plan or with
   * `fallback: false`. `never`: one plan at a time. For models with an input stage, such as speech.
   */
  readonly hedge?: HedgeOption;
  /** Codecs that the planner may use. Default `['fp32']`: `fp16` and `int8` send less but can change a token. */
  readonly codecs?: readonly Codec[];
  /** `auto` (default) measures those that exist and keeps the fastest. */
  readonly provider?: 'auto' | Exclude<ExecutionProvider, 'cpu'>;
  /** WASM threads. Default: half of the cores, at least 1, at most 4; 1 without cross-origin isolation. */
  readonly threads?: number;
  /**
   * Fetch all weights in the background so that requests can go on offline. Default true. With `false` and an endpoint that
   * answers, a new device is neither measured nor is its runtime fetched before something is to run here, or `prefetch()`.
   */
  readonly prefetch?: boolean;
  /**
   * True only when the user agreed: the endpoint is told this device's coarse class and, once a month and package,
   * one randomised bit about its speed; in turn a device that was not measured yet plans by what others of its class
   * reported. Default false: nothing of it is asked or sent. Never with the plan `local`, and not for texts.
   */
  readonly shareExperience?: boolean;
  /** Makes the worker, for bundlers that cannot follow `new URL(..., import.meta.url)`. */
  readonly createWorker?: () => Worker;
  /** Where onnxruntime-web's .wasm files are; default: beside the worker. */
  readonly wasmPaths?: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: SessionEvent) => void;
}

export type SessionEvent =
  | {
      readonly type: 'weights';
      /** Bytes here of bytes that this device was asked to hold. */
      readonly done: number;
      readonly total: number;
    }
  | {
      readonly type: 'profile';
      readonly provider: ExecutionProvider;
      readonly ms: number;
      readonly cached: boolean;
    }
  /** Several providers were measured: which one stays, and why. */
  | { readonly type: 'provider'; readonly provider: ExecutionProvider; readonly reason: string }
  | { readonly type: 'endpoint'; readonly state: EndpointState }
  | { readonly type: 'plan'; readonly plan: PricedPlan; readonly reason: string }
  /** `plan` begins beside the plan `beside`, which goes on. */
  | { readonly type: 'hedge'; readonly plan: PricedPlan; readonly beside: string; readonly cause: HedgeCause }
  /** A text begins, moves, or goes on elsewhere. */
  | { readonly type: 'text-plan'; readonly period: PlanPeriod }
  | { readonly type: 'fallback'; readonly from: string; readonly to: string; readonly error: IsthmusError };

/** One piece of work as it was predicted and as it went. */
export interface SpanReport {
  readonly place: 'device' | 'endpoint';
  readonly from: number;
  readonly to: number;
  readonly predictedMs: number;
  readonly measuredMs: number;
}

export interface CrossingReport {
  readonly cut: number;
  readonly direction: 'up' | 'down';
  readonly bytes: number;
  readonly predictedMs: number;
  readonly measuredMs: number;
}

/** Why two plans ran: which is faster was in doubt from the start, or the first was late. */
export type HedgeCause = 'doubt' | 'late';

/** Of a request that ran under two plans. */
export interface HedgeReport {
  /** Of the two, the plan that began first, and the one that was done: `report.plan`. */
  readonly first: string;
  readonly winner: string;
  readonly cause: HedgeCause;
  /** Ms from the first plan's begin to the second's. */
  readonly afterMs: number;
  /** What the plan that was stopped cost. */
  readonly other: {
    readonly plan: string;
    readonly bytesUp: number;
    readonly bytesDown: number;
    /** At most: a runner that is stopped does not tell, so all of its time may count. */
    readonly deviceMs: number;
    /** Why it did not win, where it failed by itself. */
    readonly error?: IsthmusError;
  };
}

/** What a request cost, and why it ran as it did. */
export interface RequestReport {
  readonly plan: PricedPlan;
  readonly reason: string;
  /** Plans that were tried before `plan` and failed, oldest first. */
  readonly abandoned: readonly { readonly plan: string; readonly error: IsthmusError }[];
  readonly totalMs: number;
  readonly ttftMs: number;
  readonly spans: readonly SpanReport[];
  readonly crossings: readonly CrossingReport[];
  /** Absent where one plan ran at a time. */
  readonly hedge?: HedgeReport;
  /** Frames' bytes as counted at the socket, headers included, of all plans of a hedge; weights are not among them. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Times the device waited for an answer before it could go on. */
  readonly roundTrips: number;
}

/** One request in the model's own terms; tasks are built on it. */
export interface RunOptions extends GoalOptions {
  /** Inputs of the first stage, by name. */
  readonly inputs: TensorMap;
  /** At most this many tokens; default: the package's bound. */
  readonly maxTokens?: number;
  readonly plan?: PlanChoice;
  /** Default: the session's. */
  readonly hedge?: HedgeOption;
  readonly signal?: AbortSignal;
  /** Each token as it is known, in order, never twice. What it throws ends the request and is thrown by `run`. */
  readonly onToken?: (token: number) => void;
}

export interface RunOutcome {
  /** Tokens of a model with a token loop, its end token not among them; else empty. */
  readonly tokens: readonly number[];
  /** Outputs of a model without a loop; else empty. */
  readonly outputs: TensorMap;
  readonly report: RequestReport;
}

/** Of a request, what decides whether its words may leave the device as they are. */
export interface WordsOptions extends GoalOptions {
  readonly plan?: unknown;
}

/** Words that are asked of the endpoint; until they are let go of, nothing is fetched that would be in their way. */
export interface HeldWords extends FarWords {
  letGo(): void;
}

export interface Session {
  readonly manifest: Manifest;
  readonly provider: ExecutionProvider;
  readonly threads: number;
  /**
   * Runs one request on the plan that is predicted fastest, and goes on elsewhere when a link, endpoint
   * or worker dies on the way. Requests run one after another. Throws `weights-missing`, `no-plan`,
   * `endpoint-lost`, `aborted`, `closed`, `bad-tensor`.
   */
  run(options: RunOptions): Promise<RunOutcome>;
  /**
   * Continues a text of a language model, in tokens; see `generate` for text in words. Runs one after
   * another with other requests. Throws `unsupported-model` for other models, `input-too-long`, and what
   * `run` throws.
   */
  runText(options: RunTextOptions): Promise<RunTextResult>;
  /**
   * Moves the text under way, or else the next one's start, to another plan at a token boundary. Resolves
   * when that plan takes over. Throws `bad-option` for cuts that the model does not have.
   */
  moveText(plan: Exclude<TextPlan, 'auto'>): Promise<void>;
  /** A file of the package, e.g. its tokenizer. */
  readFile(path: string): Promise<Uint8Array>;
  /** The package's tokenizer on the worker's thread; `generate` and `transcribe` use it. Absent where there is no worker. */
  readonly words?: Words | undefined;
  /**
   * Who tells of words while the tokenizer is still on its way: the endpoint, on a first visit, if all tokens of such a
   * request may go there. Else undefined.
   */
  farWords?(asked: WordsOptions): Promise<HeldWords | undefined>;
  /** Every plan with its prediction, best first, rejected ones last with the reason. */
  explain(workload?: Workload): Promise<Explanation>;
  /** Fetches everything that `local` needs. Resolves when it is here. */
  prefetch(options?: { readonly signal?: AbortSignal }): Promise<void>;
  close(): Promise<void>;
}

export interface Explanation {
  readonly chosen: PricedPlan;
  readonly reason: string;
  readonly plans: readonly PricedPlan[];
  readonly link: LinkEstimate;
  readonly endpoint: EndpointState;
  readonly workload: Workload;
}

export interface TranscribeOptions extends GoalOptions {
  /** Hz of `audio`; default: the model's. Other rates are resampled. */
  readonly sampleRate?: number;
  readonly plan?: PlanChoice;
  /** Default: the session's. */
  readonly hedge?: HedgeOption;
  /** Longest piece of audio that runs at once, in seconds. Default 20. */
  readonly pieceSeconds?: number;
  readonly signal?: AbortSignal;
  /** The text so far, each time it grows. */
  readonly onText?: (text: string) => void;
}

export interface Transcript {
  readonly text: string;
  readonly tokens: readonly number[];
  /** One report per piece: audio longer than the model takes is cut at quiet places. */
  readonly reports: readonly RequestReport[];
}
