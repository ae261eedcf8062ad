/** Long calls in pieces that leave room on the link for others; pure. */
import type { Span } from '../../core/span.ts';
import { DTYPE_BYTES, type Tensor, type TensorMap, totalBytes } from '../../core/tensor.ts';
import { IsthmusError } from '../../errors.ts';
import type { CrossingTensor, LoopStage, StateEntry } from '../../package/manifest.ts';
import { MAX_ROWS_PER_FORWARD } from '../../protocol/limits.ts';
import type { LaneInput } from '../../runtime/lane.ts';
import { cutRows } from '../../runtime/lane-rows.ts';
import { entryDims, joinRows, positionAxis, sliceRows } from '../../runtime/state-rows.ts';

/** 4 MiB: two seconds at 16 Mbit/s, and much above what a round trip costs. */
export const PIECE_BYTES = 4 * 2 ** 20;

export interface Rows {
  readonly from: number;
  readonly to: number;
}

/**
 * `[0, rows)` in parts of `size`, the last of at least `tail` rows and at most `tail` more than `size`.
 */
export function cutRange(rows: number, size: number, tail = 0): Rows[] {
  if (rows === 0) return [];
  const parts: Rows[] = [];
  let from = 0;
  for (; rows - from > size && rows - from - size >= tail; from += size) {
    parts.push({ from, to: from + size });
  }
  return [...parts, { from, to: rows }];
}

/** Rows of one message for this input, and for what crosses at the far cut if that comes back. */
export function rowsPerPiece(input: LaneInput, rows: number, back: readonly CrossingTensor[]): number {
  const bytes = input.kind === 'tokens' ? 0 : totalBytes(input.tensors);
  const perRowBack = back.reduce((sum, { bytes: { perUnit } }) => sum + perUnit, 0);
  const perRow = Math.max(bytes / Math.max(rows, 1), perRowBack);
  const fitting = perRow === 0 ? rows : Math.floor(PIECE_BYTES / perRow);
  return Math.max(1, Math.min(fitting, MAX_ROWS_PER_FORWARD));
}

export function cutInput(
  input: LaneInput,
  declared: readonly CrossingTensor[],
  { from, to }: Rows,
): LaneInput {
  if (input.kind === 'tokens') return { kind: 'tokens', tokens: input.tokens.slice(from, to) };
  return {
    kind: 'tensors',
    tensors: cutRows(input.tensors, declared, input.rows, from, to),
    rows: to - from,
  };
}

/** State of the span's blocks. Throws `unsupported-model` for what is not made of positions. */
export function positionStates(stage: LoopStage, { from, to }: Span): readonly StateEntry[] {
  const entries = stage.states.filter(({ block }) => block >= from && block < to);
  for (const entry of entries) positionAxis(entry);
  return entries;
}

/** Positions of one message of state. */
export function positionsPerPiece(entries: readonly StateEntry[]): number {
  const perPosition = entries.reduce((sum, { dims, axis, dtype }) => {
    const width = dims.reduce<number>((product, dim, at) => product * (at === axis ? 1 : (dim ?? 1)), 1);
    return sum + width * DTYPE_BYTES[dtype];
  }, 0);
  return Math.max(1, Math.floor(PIECE_BYTES / Math.max(perPosition, 1)));
}

export function cutState(entries: readonly StateEntry[], tensors: TensorMap, { from, to }: Rows): TensorMap {
  return mapState(entries, (entry) => sliceRows(stateOf(tensors, entry), positionAxis(entry), from, to));
}

export function joinState(entries: readonly StateEntry[], pieces: readonly TensorMap[]): TensorMap {
  if (pieces.length === 0) return mapState(entries, noRows);
  return mapState(entries, (entry) =>
    joinRows(
      pieces.map((piece) => stateOf(piece, entry)),
      positionAxis(entry),
    ),
  );
}

function noRows(entry: StateEntry): Tensor {
  return { dtype: entry.dtype, dims: entryDims(entry, 0), bytes: new Uint8Array(0) };
}

function mapState(entries: readonly StateEntry[], make: (entry: StateEntry) => Tensor): TensorMap {
  return Object.fromEntries(entries.map((entry) => [entry.input, make(entry)]));
}

function stateOf(tensors: TensorMap, { input }: StateEntry): Tensor {
  const tensor = tensors[input];
  if (tensor !== undefined) return tensor;
  throw new IsthmusError('bad-tensor', `the state '${input}' is missing`, { details: { name: input } });
}
