/**
 * The browser API. Curated: what a web app needs and nothing of the endpoint's. Building blocks (runner,
 * planner, codecs) are left out until someone needs them, so that they can still change.
 */
export { createSession } from './browser/create-session.ts';
export type { Sampling } from './core/sampling.ts';
export type { Codec } from './core/span.ts';
export type { DType, Tensor, TensorMap } from './core/tensor.ts';
export { ERROR_CODES, type ErrorCode, IsthmusError, isIsthmusError } from './errors.ts';
export type { Block, Crossing, CrossingTensor, Cut, Manifest } from './package/manifest.ts';
export type { DeviceClass, EnergyRates, LinkKind } from './planner/energy.ts';
export { energyRates } from './planner/energy.ts';
export type { HedgeOption } from './planner/hedge.ts';
export type { GoalOptions, Objective, ObjectiveWeights, PlanMode } from './planner/objective.ts';
export type {
  EndpointState,
  LinkEstimate,
  PlanKind,
  Prediction,
  PricedPlan,
  Workload,
} from './planner/types.ts';
export type { ExecutionProvider } from './runtime/runner.ts';
export type {
  ChatMessage,
  GenerateOptions,
  PlanPeriod,
  RunTextOptions,
  RunTextResult,
  TextPlan,
  TextResult,
  TextStream,
  TextUsage,
} from './session/text/types.ts';
export type {
  CrossingReport,
  Explanation,
  HedgeCause,
  HedgeReport,
  PlanChoice,
  RequestReport,
  RunOptions,
  RunOutcome,
  Session,
  SessionEvent,
  SessionOptions,
  SpanReport,
  TranscribeOptions,
  Transcript,
} from './session/types.ts';
export { resample } from './tasks/audio/resample.ts';
export { decodeWav } from './tasks/audio/wav.ts';
export { generateText } from './tasks/text/generate.ts';
export type { TextSession } from './tasks/text/text-session.ts';
export { transcribe } from './tasks/transcribe.ts';
