/** Weight matrices to 8 bits, with one scale for each output column. Pure. */
import { IsthmusError } from '../errors.ts';

/** int8 without -128, so that a matrix and its negative have the same error. */
const LARGEST = 127;

/** Columns that are turned together: their rows of the result then share cache lines. */
const TILE = 64;

export interface QuantisedColumns {
  /** `[inner, columns]`, row-major: what `MatMulInteger` reads on its right. */
  readonly data: Int8Array;
  /** `[columns]`; a weight is about `data * scale`. */
  readonly scales: Float32Array;
}

/**
 * @param rows `[columns, inner]`, row-major: one row for each output column, as GGUF and PyTorch store
 * a linear layer.
 * Rounds to nearest with the largest magnitude of a column at 127, so the error is at most half a scale.
 * Throws `bad-model` when a weight is not finite or the length does not fit.
 */
export function quantiseColumns(rows: Float32Array, columns: number, inner: number): QuantisedColumns {
  if (rows.length !== columns * inner) {
    throw new IsthmusError('bad-model', `a matrix of ${columns} x ${inner} has ${rows.length} elements`);
  }
  const data = new Int8Array(columns * inner);
  const scales = new Float32Array(columns);
  for (let from = 0; from < columns; from += TILE) {
    const to = Math.min(columns, from + TILE);
    for (let column = from; column < to; column += 1) scales[column] = scaleOf(rows, column, inner);
    for (let index = 0; index < inner; index += 1) {
      for (let column = from; column < to; column += 1) {
        const scale = scales[column] ?? 0;
        const weight = rows[column * inner + index] ?? 0;
        data[index * columns + column] = scale === 0 ? 0 : Math.round(weight / scale);
      }
    }
  }
  return { data, scales };
}

function scaleOf(rows: Float32Array, column: number, inner: number): number {
  let largest = 0;
  for (let index = column * inner; index < (column + 1) * inner; index += 1) {
    const size = Math.abs(rows[index] ?? 0);
    if (!Number.isFinite(size)) throw new IsthmusError('bad-model', 'a weight is not a finite number');
    if (size > largest) largest = size;
  }
  return largest / LARGEST;
}
