/** Rotary position embedding: its tables, and the order of axes that they ask for. */
import type { LlamaConfig } from './llama-config.ts';

/**
 * Cosines and sines of every position, each `[positions, ropeDim / 2]`. Angles are computed in float64
 * (RoFormer, arXiv 2104.09864): in float32 the last bits of large positions would be lost.
 */
export function ropeTables(
  config: LlamaConfig,
  positions: number,
): { readonly cos: Float32Array; readonly sin: Float32Array } {
  const pairs = config.ropeDim / 2;
  const cos = new Float32Array(positions * pairs);
  const sin = new Float32Array(positions * pairs);
  for (let pair = 0; pair < pairs; pair += 1) {
    const frequency = config.ropeTheta ** ((-2 * pair) / config.ropeDim) / (config.ropeFactors?.[pair] ?? 1);
    for (let position = 0; position < positions; position += 1) {
      cos[position * pairs + pair] = Math.cos(position * frequency);
      sin[position * pairs + pair] = Math.sin(position * frequency);
    }
  }
  return { cos, sin };
}

/**
 * Rows (or elements, with `width` 1) of queries or keys with each head's axes in half-split order:
 * axis `2j` goes to `j` and `2j + 1` to `j + ropeDim/2`. Scores do not change, since queries and keys
 * are reordered alike, and one form of the operator serves both families.
 * @param rows `[heads * headDim, width]`
 */
export function toHalfSplit(rows: Float32Array, config: LlamaConfig, width: number): Float32Array {
  if (!config.ropeInterleaved) return rows;
  const { headDim, ropeDim } = config;
  const result = new Float32Array(rows.length);
  for (let row = 0; row < rows.length / width; row += 1) {
    const axis = row % headDim;
    const place = axis >= ropeDim ? axis : axis % 2 === 0 ? axis / 2 : (axis - 1 + ropeDim) / 2;
    const target = row - axis + place;
    result.set(rows.subarray(row * width, (row + 1) * width), target * width);
  }
  return result;
}
