/** Rows of crossing tensors: cutting long inputs in pieces and joining what comes of the pieces. */
import type { Span } from '../core/span.ts';
import type { Tensor, TensorMap } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import type { CrossingTensor, StateEntry } from '../package/manifest.ts';
import { joinRows, rowsFor, sliceRows } from './state-rows.ts';

type Declared = Pick<CrossingTensor, 'name' | 'dims'>;

/**
 * Axis of a tensor's rows, or `undefined` for one that is the same for all rows. Importers measure a
 * step of one row, so the axis may be declared as 1. Throws `unsupported-model` where it cannot be told.
 */
function rowsAxis(declared: Declared, tensor: Tensor, rows: number): number | undefined {
  const fits = tensor.dims.flatMap((dim, axis) => {
    const stated = declared.dims[axis];
    return dim === rows && (stated === null || stated === 1 || stated === undefined) ? [axis] : [];
  });
  if (fits.length > 1) {
    throw new IsthmusError('unsupported-model', `which axis of '${declared.name}' has the rows is not clear`);
  }
  return fits[0];
}

/** Rows `[from, to)` of `rows` in all, of everything that crossed. */
export function cutRows(
  tensors: TensorMap,
  declared: readonly Declared[],
  rows: number,
  from: number,
  to: number,
): TensorMap {
  if (from === 0 && to === rows) return tensors;
  const cut: Record<string, Tensor> = { ...tensors };
  for (const entry of declared) {
    const tensor = tensors[entry.name];
    const axis = tensor === undefined ? undefined : rowsAxis(entry, tensor, rows);
    if (tensor !== undefined && axis !== undefined) cut[entry.name] = sliceRows(tensor, axis, from, to);
  }
  return cut;
}

/** One set of tensors from those of consecutive pieces; all but the last piece have `pieceRows` rows. */
export function joinPieces(
  pieces: readonly TensorMap[],
  declared: readonly Declared[],
  pieceRows: number,
): TensorMap {
  const [first = {}] = pieces;
  if (pieces.length <= 1) return first;
  const joined: Record<string, Tensor> = {};
  for (const entry of declared) {
    const parts = pieces.flatMap((piece) => piece[entry.name] ?? []);
    const [head] = parts;
    if (head === undefined) continue;
    const axis = rowsAxis(entry, head, pieceRows);
    joined[entry.name] = axis === undefined ? head : joinRows(parts, axis);
  }
  return joined;
}

/**
 * How many positions a copy of the state of `span` has: 0 where its blocks have no state. Throws
 * `bad-tensor` where entries are missing or disagree, `unsupported-model` for other kinds of state.
 */
export function stateRows(states: readonly StateEntry[], span: Span, tensors: TensorMap): number {
  const counts = new Set<number>();
  for (const entry of states) {
    if (entry.block < span.from || entry.block >= span.to) continue;
    const tensor = tensors[entry.input];
    if (tensor === undefined) throw badState(`the state '${entry.input}' is missing`, entry.input);
    counts.add(rowsFor(entry, tensor));
    if (counts.size > 1) throw badState(`'${entry.input}' has other positions than the rest`, entry.input);
  }
  const [rows = 0] = counts;
  return rows;
}

function badState(what: string, name: string): IsthmusError {
  return new IsthmusError('bad-tensor', what, { details: { name } });
}
