/**
 * Runs one span of one request through a runner: the same code at both ends of a link. A client that
 * holds blocks `[0, k)` and an endpoint that holds `[k, N)` each own one executor; a local plan owns
 * a single one over `[0, N)`.
 */
import type { PhaseTensors, Span } from '../core/span.ts';
import type { TensorMap } from '../core/tensor.ts';
import type { Manifest } from '../package/manifest.ts';
import type { LoadOptions, SpanRunner } from './runner.ts';

/** What leaves the span: tensors at its far cut, or scores when it reaches the model's end. */
export type StepOutput =
  | { readonly kind: 'crossing'; readonly tensors: PhaseTensors }
  | { readonly kind: 'logits'; readonly logits: Float32Array; readonly vocabulary: number }
  | { readonly kind: 'outputs'; readonly tensors: TensorMap };

export interface SpanExecution {
  /** Feeds of the span's near cut (raw inputs at cut 0); runs up to and including the first step. */
  start(feeds: PhaseTensors, prefix?: readonly number[]): Promise<StepOutput>;
  /**
   * One more step. `tokens` for a span that holds the loop's start, else the `step` tensors that
   * crossed at the near cut.
   */
  step(input: readonly number[] | TensorMap): Promise<StepOutput>;
  /** Runtime ms so far, by `stage:from-to:phase`. */
  readonly segmentMs: Readonly<Record<string, number>>;
  /** Frees the state. Safe to call twice. */
  close(): Promise<void>;
}

export interface SpanExecutor {
  readonly manifest: Manifest;
  readonly span: Span;
  load(options?: LoadOptions): Promise<void>;
  /** A fresh execution with its own state. */
  open(): SpanExecution;
}

export type CreateExecutor = (manifest: Manifest, span: Span, runner: SpanRunner) => SpanExecutor;
