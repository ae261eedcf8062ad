/** Words for where a piece of a model begins and ends, shared by every part that speaks of placing it. */
import type { TensorMap } from './tensor.ts';

/**
 * When a graph runs. `once`: one pass per request (an encoder). `init`: once per request, fills the
 * read-only state of a loop from its context (cross-attention keys and values). `step`: each token.
 */
export type Phase = 'once' | 'init' | 'step';

export const PHASES: readonly Phase[] = ['once', 'init', 'step'];

/** Tensors by phase: names of the init and step graphs may coincide. */
export type PhaseTensors = { readonly [phase in Phase]?: TensorMap };

/** Blocks `[from, to)` run as one piece at one place. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Whether all blocks of `inner` are among those of `outer`. */
export function isWithin(inner: Span, outer: Span): boolean {
  return inner.from >= outer.from && inner.to <= outer.to;
}

/** The part of a span that lies in one stage; blocks are global indices. */
export interface Segment {
  readonly stage: number;
  readonly from: number;
  readonly to: number;
}

/** How a crossing float tensor is written. Tensors marked not lossy are always written as they are. */
export type Codec = 'fp32' | 'fp16' | 'int8';

export const CODECS: readonly Codec[] = ['fp32', 'fp16', 'int8'];
