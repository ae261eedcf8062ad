/** A span's graph as a list of operations for the kernels, before anything has an address. */
import type { OnnxTensor } from '../../graph/onnx-types.ts';

/** Kinds of operation, by the numbers in `kernels/index.ts`. */
export const KIND = {
  embed: 1,
  norm: 2,
  add: 3,
  quantise: 4,
  product: 5,
  shift: 6,
  rotate: 7,
  attend: 8,
  gated: 9,
  mix: 10,
  mixBlocks: 11,
  scale: 12,
  pick: 13,
  takeCodes: 14,
  takeScales: 15,
  decode: 16,
} as const;

export type Kind = keyof typeof KIND;

/** Those that threads share by pieces; the others are done row by row, each row by one thread. */
export const SHARED_KINDS: ReadonlySet<Kind> = new Set(['product', 'attend']);

/** How a weight lies in memory. `matrix`: int8 in panels, see `kernels/product.ts`. `floats`: as it is, times `factor`. */
export type WeightForm =
  | { readonly as: 'matrix'; readonly inner: number; readonly columns: number }
  | { readonly as: 'floats'; readonly factor: number };

export interface WeightUse {
  readonly tensor: OnnxTensor;
  readonly form: WeightForm;
}

/** An intermediate: so many bytes for each row. */
export interface RowBuffer {
  readonly id: number;
  readonly rowBytes: number;
}

export type Argument =
  | { readonly buffer: RowBuffer }
  | { readonly weight: WeightUse }
  /** The state's layer, by its key's input name. */
  | { readonly layer: string }
  | { readonly int: number }
  | { readonly float: number };

export interface Operation {
  readonly kind: Kind;
  readonly args: readonly Argument[];
}

/** Rows, `[rows, width]`: float32, or the int8 codes of an embedding. */
export interface Rows {
  readonly buffer: RowBuffer;
  readonly width: number;
  readonly dtype: 'float32' | 'int8';
}

/** One layer of attention, by the names of its state. */
export interface AttentionLayer {
  readonly pastKey: string;
  readonly pastValue: string;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Query heads that share one head of keys and values. */
  readonly group: number;
}

export interface Program {
  /** For all rows of a run. */
  readonly body: readonly Operation[];
  /** For the rows whose scores are wanted; begins by picking them. */
  readonly head: readonly Operation[];
  /** What comes in from the near cut, by name. */
  readonly inputs: ReadonlyMap<string, Rows>;
  /** What is made, by name; `picked` has one row for each that was picked. */
  readonly outputs: ReadonlyMap<string, Rows & { readonly picked: boolean }>;
  readonly tokens: string | undefined;
  readonly picked: string | undefined;
  readonly layers: readonly AttentionLayer[];
  /** Tokens that the embedding knows; absent for spans without it. */
  readonly vocabulary?: number;
  /** Positions that the rotary tables have; absent for spans without attention. */
  readonly positions?: number;
}

/** Columns up to the next whole panel. */
export function paddedColumns(columns: number): number {
  return Math.ceil(columns / 4) * 4;
}

/** Width up to the next one that products read: whole vectors of sixteen. */
export function paddedInner(width: number): number {
  return Math.ceil(width / 16) * 16;
}
