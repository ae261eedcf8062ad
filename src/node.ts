/**
 * The Node API: importing, verifying and serving packages. What runs in a browser comes from the main
 * entry instead; graphs and protocol stay private, since their forms follow the package and the wire.
 */

export type { Phase, PhaseTensors, Segment, Span } from './core/span.ts';
export type { DType, Tensor, TensorMap } from './core/tensor.ts';
export type {
  Endpoint,
  EndpointOptions,
  EndpointPackage,
  MetricsSnapshot,
} from './endpoint/endpoint.ts';
export { ERROR_CODES, type ErrorCode, IsthmusError, isIsthmusError } from './errors.ts';
export { createEndpoint } from './node/create-endpoint.ts';
export { type ImportOnnxOptions, importOnnx } from './node/import-onnx.ts';
export {
  type ImportedText,
  type ImportFolderOptions,
  type ImportTextOptions,
  importGguf,
  importOnnxFolder,
} from './node/import-text.ts';
export { type VerifyPackageOptions, verifyPackage } from './node/verify-package.ts';
export type { Manifest } from './package/manifest.ts';
export { type OpenedPackage, openPackage } from './package/node/open-package.ts';
export {
  type CutVerdict,
  VERIFY_TOLERANCE,
  type Verdict,
  type VerifyInput,
  type VerifyProgress,
} from './package/verify.ts';
export { audioInput, syntheticInputs } from './package/verify-inputs.ts';
export type { SpanExecution, SpanExecutor, StepOutput } from './runtime/executor.ts';
export { createNodeRunner, type NodeRunnerOptions } from './runtime/node/ort-node.ts';
export type { PackageSource, SpanRunner } from './runtime/runner.ts';
export { createExecutor } from './runtime/span-executor.ts';
