/**
 * Products of rows in 8 bits with a matrix in 8 bits, exact in 32-bit integers. The matrix lies in panels of four
 * columns, which take turns every sixteen elements: so it is read in one sweep, twice as fast as four
 * columns each from its own place.
 *
 * Activations are 16-bit copies of 8-bit values: the product of pairs that every SIMD machine has takes
 * those, and widening them once a row is cheaper than once a column.
 */
import { onePanel, twoColumns, twoRows } from './panels';
import { nextPiece } from './sync';

/** Panels that a thread takes at a time. */
const PIECE: i32 = 8;

/**
 * @param values int16 `[rows, inner]`
 * @param largest float32 `[rows]`
 * @param matrix int8 `[columns / 4, inner / 16, 4, 16]`; columns that are missing from the last panel are zero
 * @param scales float32 `[columns]`
 * @param out float32 `[rows, columns]`
 */
export function multiply(
  counter: usize,
  rows: i32,
  values: usize,
  largest: usize,
  matrix: usize,
  scales: usize,
  out: usize,
  columns: i32,
  inner: i32,
): void {
  const panels = (columns + 3) >> 2;
  const pieces = (panels + PIECE - 1) / PIECE;
  const panelBytes = <usize>inner << 2;
  const rowBytes = <usize>inner << 1;
  const outBytes = <usize>columns << 2;
  for (let piece = nextPiece(counter); piece < pieces; piece = nextPiece(counter)) {
    const end = min((piece + 1) * PIECE, panels);
    let row = 0;
    for (; row + 4 <= rows; row += 4) {
      const x = values + <usize>row * rowBytes;
      const y = out + <usize>row * outBytes;
      const sizes = largest + ((<usize>row) << 2);
      for (let panel = piece * PIECE; panel < end; panel++) {
        const w = matrix + <usize>panel * panelBytes;
        const column = panel << 2;
        twoColumns(x, rowBytes, sizes, w, panelBytes, scales, y, outBytes, column, columns);
        twoColumns(x, rowBytes, sizes, w + 32, panelBytes, scales, y, outBytes, column + 2, columns);
      }
    }
    for (; row + 2 <= rows; row += 2) {
      const x = values + <usize>row * rowBytes;
      const y = out + <usize>row * outBytes;
      const sizes = largest + ((<usize>row) << 2);
      for (let panel = piece * PIECE; panel < end; panel++) {
        const w = matrix + <usize>panel * panelBytes;
        twoRows(x, rowBytes, sizes, w, panelBytes, scales, y, outBytes, panel << 2, columns);
      }
    }
    if (row < rows) {
      const x = values + <usize>row * rowBytes;
      const y = out + <usize>row * outBytes;
      const size = load<f32>(largest + ((<usize>row) << 2));
      for (let panel = piece * PIECE; panel < end; panel++) {
        onePanel(x, size, matrix + <usize>panel * panelBytes, panelBytes, scales, y, panel << 2, columns);
      }
    }
  }
}
