/**
 * What `manifest.json` of a package says. A package is a folder: this manifest, weightless graphs,
 * weight shards named by their SHA-256, and tokenizer files. Nothing here is specific to a model:
 * every name, count and size is read from the imported graphs.
 */
import type { Sampling } from '../core/sampling.ts';
import type { Phase } from '../core/span.ts';
import type { DType } from '../core/tensor.ts';

export const MANIFEST_FILE = 'manifest.json';
export const MANIFEST_FORMAT = 'isthmus-package';
export const MANIFEST_VERSION = 2;

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
  /**
   * How a step changes it. `append`: the output is the input with rows added along `axis`. `shared`: the
   * same, and the graph may write in place when input and output are one buffer with room to spare along
   * `axis` (GroupQueryAttention). `replace`: wholly new each step (convolution or recurrent state), so
   * it cannot be cut back to an earlier position. `init` entries are `replace`.
   */
  readonly growth: 'append' | 'shared' | 'replace';
  /** Axis of the positions, for `append` and `shared`. */
  readonly axis?: number;
}

/**
 * An input of a step graph that follows from where the rows stand, with `past` positions before them and
 * `rows` of them. Each side makes it; it never crosses.
 *
 * `positions`: past .. past+rows-1, `[1, rows]` (or `[rows]`). `mask`: ones, `[1, past+rows]`.
 * `past`, `total` (past+rows) and `last` (past+rows-1): that number, in whatever rank is declared.
 * `picked`: indices of the rows whose scores are wanted, `[picked]`. `picked-count`: how many of the
 * last rows' scores are wanted, a number.
 */
export type FeedKind = 'positions' | 'mask' | 'past' | 'total' | 'last' | 'picked' | 'picked-count';

export interface StepFeed {
  readonly input: string;
  readonly kind: FeedKind;
  readonly dtype: DType;
  /** Number of axes of the input. */
  readonly rank: number;
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
  /** Inputs that each side makes from the position; empty for models that need none. */
  readonly feeds: readonly StepFeed[];
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
  /** Token that every text begins with; absent where the tokenizer says (or there is none). */
  readonly bosToken?: number;
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

/** What a language model brings beside its graph. */
export interface TextModel {
  /** Positions that the model was made for; prompt and answer together. */
  readonly contextLength: number;
  /** Jinja template that turns messages into a prompt; absent for models that only continue text. */
  readonly chatTemplate?: string;
  /** Text of special tokens that templates name, e.g. `bos_token`. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /**
   * A row's results are the same bits whatever rows run with it, on any one runtime: a text may be guessed ahead and stays
   * what it is. So with graphs that the importer builds; absent where that is not known.
   */
  readonly exactRows?: true;
  /** Put `bosToken` before a prompt whose text does not begin with it. */
  readonly addBos: boolean;
  /** Sampling that the model's makers recommend. */
  readonly sampling?: Partial<Omit<Sampling, 'seed'>>;
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
  readonly text?: TextModel;
  /** Remarks of the importer for a person, e.g. why there is only one block. */
  readonly notes: readonly string[];
}
