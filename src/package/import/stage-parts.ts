/** What the importer knows of a stage before the manifest is written: graphs, cuts and where state lives. */
import type { Phase } from '../../core/span.ts';
import type { OnnxModel } from '../../graph/onnx-types.ts';
import type { Crossing, GraphInput, LoopStage, OnceStage, StateEntry } from '../manifest.ts';

/** A stage with block numbers that count from 0 inside it. */
export interface StageParts {
  readonly graphs: { readonly [phase in Phase]?: OnnxModel };
  /** Number of blocks. */
  readonly blocks: number;
  /** `cuts[k]`: what crosses before local block `k`, for `k` in `0..blocks-1`. */
  readonly cuts: readonly { readonly [phase in Phase]?: Crossing }[];
  readonly states: readonly StateEntry[];
  readonly inputs: readonly GraphInput[];
  readonly outputs: readonly GraphInput[];
  readonly describe:
    | Pick<OnceStage, 'kind' | 'extent' | 'rows'>
    | Pick<LoopStage, 'kind' | 'tokenInput' | 'feeds' | 'logits' | 'context' | 'vocabulary'>;
  readonly notes: readonly string[];
}
