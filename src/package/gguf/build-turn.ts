/** The change of basis of `build-rotation.ts` where a graph must make it itself: before a tied head. */
import type { GraphParts } from './build-graph.ts';
import type { Rotation } from './build-rotation.ts';

/**
 * Rows in the turned basis, multiplied by a gain that belongs to the file's: turned back, multiplied,
 * turned again. A tied head needs it, since its matrix is the embedding's and cannot hold the gain. It is
 * done for the rows whose scores are wanted alone, at a fraction of the head's own work.
 * @param input float32 `[1, rows, size]`
 */
export function scaleTurned(
  parts: GraphParts,
  input: string,
  rotation: Rotation,
  gain: Float32Array,
): string {
  const { size, blocks, width, hadamard, cosines } = rotation;
  const back = Float32Array.from(
    cosines,
    (_, at) => cosines[(at % width) * width + Math.floor(at / width)] ?? 0,
  );
  const matrix = (name: string, extent: number, values: Float32Array): string =>
    parts.constant(`turn.${name}`, [extent, extent], () => values);
  const shape = (name: string, dims: readonly number[]): string =>
    parts.constant(`turn.${name}`, [dims.length], () => BigInt64Array.from(dims, BigInt));
  const columns = matrix('hadamard', blocks, hadamard);
  // The signs of the two turns meet here and cancel: the gain is all that stands between them.
  const middle = parts.constant('turn.gain', [1, blocks, width], () => gain);
  const table = parts.add('Reshape', [input, shape('table', [-1, blocks, width])], 'turn.table_in');
  const unmixed = parts.add('MatMul', [table, matrix('cosines_back', width, back)], 'turn.unmixed');
  const original = parts.add('MatMul', [columns, unmixed], 'turn.original');
  const scaled = parts.add('Mul', [original, middle], 'turn.scaled');
  const spread = parts.add('MatMul', [columns, scaled], 'turn.spread');
  const mixed = parts.add('MatMul', [spread, matrix('cosines', width, cosines)], 'turn.mixed');
  return parts.add('Reshape', [mixed, shape('rows', [1, -1, size])], 'turn.out');
}
