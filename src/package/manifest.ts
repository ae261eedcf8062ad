/**
 * What `manifest.json` of a package says. A package is a folder: this manifest, weightless graphs,
 * weight shards named by their SHA-256, and tokenizer files. Nothing here is specific to a model:
 * every name, count and size is read from the imported graphs.
 */
import type { Phase } from '../core/span.ts';
import type { DType } from '../core/tensor.ts';

export const MANIFEST_FILE = 'manifest.json';
export const MANIFEST_FORMAT = 'isthmus-package';
export const MANIFEST_VERSION = 1;

/** Bytes (or rows) as a measured affine function of a phase's extent: `base + perUnit * units`. */
export interface Affine {
  readonly base: number;
  readonly perUnit: number;
}

export interface PackageFile {
  /** Lower-case hex SHA-256 of the content. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface CrossingTensor {
  readonly name: string;
  readonly dtype: DType;
  /** `null` where the extent varies from request to request. */
  readonly dims: readonly (number | null)[];
  readonly bytes: Affine;
  /** True for activations that a lossy codec may touch; false for shapes, positions, masks, zero points. */
  readonly lossy: boolean;
}

/** What passes a cut in one phase. */
export interface Crossing {
  readonly sent: readonly CrossingTensor[];
  /** Values that would cross but are computed again on the far side, from what is sent. */
  readonly recomputed: readonly string[];
}

export interface StateEntry {
  /** Input of the step graph that reads it. */
  readonly input: string;
  /** `step` entries: output of the step graph that replaces it. `init` entries: output of the init graph. */
  readonly output: string;
  readonly origin: 'init' | 'step';
  readonly dtype: DType;
  /** `null` marks axes that vary; a fresh `step` entry starts with extent 0 there. */
  readonly dims: readonly (number | null)[];
  /** Block that holds it (global index). */
  readonly block: number;
}

export interface GraphInput {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly (number | null)[];
}

export interface OnceStage {
  readonly kind: 'once';
  readonly name: string;
  /** Blocks `[from, to)`, global indices. */
  readonly from: number;
  readonly to: number;
  readonly graphs: { readonly once: string };
  readonly inputs: readonly GraphInput[];
  readonly outputs: readonly GraphInput[];
  /** What one unit of extent is, e.g. one sample of input; the axis that varies. */
  readonly extent: { readonly input: string; readonly axis: number };
  /** Rows of the output (frames) as a function of the extent in units. */
  readonly rows: Affine;
}

export interface LoopStage {
  readonly kind: 'loop';
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly graphs: { readonly init?: string; readonly step: string };
  /** Input of the step graph that takes token ids, int64 `[batch, seq]`. */
  readonly tokenInput: GraphInput;
  /** Output of the step graph with scores, float `[batch, seq, vocabulary]`. */
  readonly logits: string;
  /** Inputs of the init graph (or of each step) that come from the previous stage's outputs. */
  readonly context: readonly { readonly input: string; readonly output: string }[];
  readonly states: readonly StateEntry[];
  readonly vocabulary: number;
}

export type Stage = OnceStage | LoopStage;

export interface Block {
  readonly index: number;
  readonly stage: number;
  /** Shards (names in `files`) whose weights the block needs; a shard may serve several blocks. */
  readonly shards: readonly string[];
  /** Bytes of weights that this block reads, shared ones counted in each block that reads them. */
  readonly weightBytes: number;
  readonly nodes: number;
}

/**
 * Cut `k` has blocks `0..k-1` before it. Cut 0 (raw input crosses) and cut N (nothing does) are
 * included. A cut inside or at the start of a loop stage has `init`/`step` crossings; one inside
 * a once stage has `once`; the one between a once and a loop stage has `once`: the context.
 */
export interface Cut {
  readonly cut: number;
  readonly crossings: { readonly [phase in Phase]?: Crossing };
}

export interface Generation {
  readonly bosToken: number;
  readonly eosTokens: readonly number[];
  /** Hard stop for one request. */
  readonly maxTokens: number;
}

export interface AudioInput {
  /** Hz that the model was trained on. */
  readonly sampleRate: number;
  /** At most this many tokens per second of audio, which stops runaway repetition. */
  readonly maxTokensPerSecond: number;
}

export interface Manifest {
  readonly format: typeof MANIFEST_FORMAT;
  readonly version: typeof MANIFEST_VERSION;
  readonly name: string;
  readonly stages: readonly Stage[];
  readonly blocks: readonly Block[];
  /** Exactly `blocks.length + 1` entries, in order. */
  readonly cuts: readonly Cut[];
  /** Every file of the package but the manifest, by its path relative to it. */
  readonly files: Readonly<Record<string, PackageFile>>;
  readonly tokenizer?: { readonly tokenizer: string; readonly config?: string };
  readonly generation?: Generation;
  readonly audio?: AudioInput;
  /** Remarks of the importer for a person, e.g. why there is only one block. */
  readonly notes: readonly string[];
}
