/** Matrices from the order in which packages keep them to the one in which products read them; see `product.ts`. */

/** Rows of the package's matrix that are taken at a time. */
const TILE: i32 = 16;

/**
 * Puts int8 `[count, columns]` at `src`, rows `from` on of a matrix, into its panels at `dst`. `from` is a multiple
 * of `TILE`; `count` is `TILE`, or less for the last rows.
 */
export function transpose(dst: usize, src: usize, from: i32, count: i32, columns: i32, inner: i32): void {
  const stride = <usize>columns;
  const panelBytes = (<usize>inner) << 2;
  const tile = dst + ((<usize>from) << 2);
  for (let column: usize = 0; column < stride; column++) {
    const y = tile + (column >> 2) * panelBytes + ((column & 3) << 4);
    let x = src + column;
    if (count == TILE) {
      let low: u64 = 0;
      let high: u64 = 0;
      for (let bit: u64 = 0; bit < 64; bit += 8, x += stride) low |= <u64>load<u8>(x) << bit;
      for (let bit: u64 = 0; bit < 64; bit += 8, x += stride) high |= <u64>load<u8>(x) << bit;
      store<u64>(y, low);
      store<u64>(y, high, 8);
    } else {
      for (let row = 0; row < count; row++, x += stride) store<u8>(y + <usize>row, load<u8>(x));
    }
  }
}

/** Sixteen elements of a column lie together; this is from one such run to the column's next. */
export const RUN_STRIDE: usize = 64;

/** Where a column begins. */
// @ts-ignore: decorator
@inline
export function columnAt(matrix: usize, column: usize, inner: usize): usize {
  return matrix + (column >> 2) * (inner << 2) + ((column & 3) << 4);
}
