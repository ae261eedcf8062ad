/** The inner loops of a product: one, two or four rows with the columns of a panel (see `product.ts`). */

// @ts-ignore: decorator
@inline
function sum(v: v128): i32 {
  const pairs = i32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
}

/** `(sum * scale) * largest`, in the order in which onnxruntime's operators round. */
// @ts-ignore: decorator
@inline
function put(out: usize, total: i32, scale: f32, largest: f32): void {
  store<f32>(out, <f32>total * scale * largest);
}

/** One row, the four columns of a panel. */
// @ts-ignore: decorator
@inline
export function onePanel(
  x: usize,
  size: f32,
  panel: usize,
  bytes: usize,
  scales: usize,
  y: usize,
  column: i32,
  columns: i32,
): void {
  let w = panel;
  let a = x;
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (const end = panel + bytes; w < end; w += 64, a += 32) {
    const lower = v128.load(a);
    const upper = v128.load(a, 16);
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load_ext<i8>(w), lower));
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 8), upper));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 16), lower));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 24), upper));
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 32), lower));
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 40), upper));
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 48), lower));
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 56), upper));
  }
  const at = (<usize>column) << 2;
  const left = columns - column;
  put(y + at, sum(s0), load<f32>(scales + at), size);
  if (left > 1) put(y + at + 4, sum(s1), load<f32>(scales + at, 4), size);
  if (left > 2) put(y + at + 8, sum(s2), load<f32>(scales + at, 8), size);
  if (left > 3) put(y + at + 12, sum(s3), load<f32>(scales + at, 12), size);
}

/** Two rows, the four columns of a panel: what a step with a guess has, or what four rows at a time leave over. */
export function twoRows(
  x: usize,
  rowBytes: usize,
  sizes: usize,
  panel: usize,
  bytes: usize,
  scales: usize,
  y: usize,
  outBytes: usize,
  column: i32,
  columns: i32,
): void {
  let w = panel;
  let a0 = x;
  let a1 = a0 + rowBytes;
  let s00 = i32x4.splat(0);
  let s01 = s00;
  let s02 = s00;
  let s03 = s00;
  let s10 = s00;
  let s11 = s00;
  let s12 = s00;
  let s13 = s00;
  for (const end = panel + bytes; w < end; w += 64) {
    let v0 = v128.load(a0);
    let v1 = v128.load(a1);
    let b = v128.load_ext<i8>(w);
    s00 = i32x4.add(s00, i32x4.dot_i16x8_s(b, v0));
    s10 = i32x4.add(s10, i32x4.dot_i16x8_s(b, v1));
    b = v128.load_ext<i8>(w, 16);
    s01 = i32x4.add(s01, i32x4.dot_i16x8_s(b, v0));
    s11 = i32x4.add(s11, i32x4.dot_i16x8_s(b, v1));
    b = v128.load_ext<i8>(w, 32);
    s02 = i32x4.add(s02, i32x4.dot_i16x8_s(b, v0));
    s12 = i32x4.add(s12, i32x4.dot_i16x8_s(b, v1));
    b = v128.load_ext<i8>(w, 48);
    s03 = i32x4.add(s03, i32x4.dot_i16x8_s(b, v0));
    s13 = i32x4.add(s13, i32x4.dot_i16x8_s(b, v1));
    v0 = v128.load(a0, 16);
    v1 = v128.load(a1, 16);
    b = v128.load_ext<i8>(w, 8);
    s00 = i32x4.add(s00, i32x4.dot_i16x8_s(b, v0));
    s10 = i32x4.add(s10, i32x4.dot_i16x8_s(b, v1));
    b = v128.load_ext<i8>(w, 24);
    s01 = i32x4.add(s01, i32x4.dot_i16x8_s(b, v0));
    s11 = i32x4.add(s11, i32x4.dot_i16x8_s(b, v1));
    b = v128.load_ext<i8>(w, 40);
    s02 = i32x4.add(s02, i32x4.dot_i16x8_s(b, v0));
    s12 = i32x4.add(s12, i32x4.dot_i16x8_s(b, v1));
    b = v128.load_ext<i8>(w, 56);
    s03 = i32x4.add(s03, i32x4.dot_i16x8_s(b, v0));
    s13 = i32x4.add(s13, i32x4.dot_i16x8_s(b, v1));
    a0 += 32;
    a1 += 32;
  }
  const at = (<usize>column) << 2;
  const left = columns - column;
  const c0 = load<f32>(scales + at);
  const c1 = left > 1 ? load<f32>(scales + at, 4) : 0;
  putTwo(y + at, sum(s00), sum(s01), c0, c1, load<f32>(sizes), left > 1);
  putTwo(y + outBytes + at, sum(s10), sum(s11), c0, c1, load<f32>(sizes, 4), left > 1);
  if (left < 3) return;
  const c2 = load<f32>(scales + at, 8);
  const c3 = left > 3 ? load<f32>(scales + at, 12) : 0;
  putTwo(y + at + 8, sum(s02), sum(s03), c2, c3, load<f32>(sizes), left > 3);
  putTwo(y + outBytes + at + 8, sum(s12), sum(s13), c2, c3, load<f32>(sizes, 4), left > 3);
}

/** Four rows, two columns of a panel: eight sums are what fits into registers beside what they are made of. */
export function twoColumns(
  x: usize,
  rowBytes: usize,
  sizes: usize,
  panel: usize,
  bytes: usize,
  scales: usize,
  y: usize,
  outBytes: usize,
  column: i32,
  columns: i32,
): void {
  if (column >= columns) return;
  let w = panel;
  let a0 = x;
  let a1 = a0 + rowBytes;
  let a2 = a1 + rowBytes;
  let a3 = a2 + rowBytes;
  let s00 = i32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  for (const end = panel + bytes; w < end; w += 64) {
    let b0 = v128.load_ext<i8>(w);
    let b1 = v128.load_ext<i8>(w, 16);
    let v = v128.load(a0);
    s00 = i32x4.add(s00, i32x4.dot_i16x8_s(b0, v));
    s01 = i32x4.add(s01, i32x4.dot_i16x8_s(b1, v));
    v = v128.load(a1);
    s10 = i32x4.add(s10, i32x4.dot_i16x8_s(b0, v));
    s11 = i32x4.add(s11, i32x4.dot_i16x8_s(b1, v));
    v = v128.load(a2);
    s20 = i32x4.add(s20, i32x4.dot_i16x8_s(b0, v));
    s21 = i32x4.add(s21, i32x4.dot_i16x8_s(b1, v));
    v = v128.load(a3);
    s30 = i32x4.add(s30, i32x4.dot_i16x8_s(b0, v));
    s31 = i32x4.add(s31, i32x4.dot_i16x8_s(b1, v));
    b0 = v128.load_ext<i8>(w, 8);
    b1 = v128.load_ext<i8>(w, 24);
    v = v128.load(a0, 16);
    s00 = i32x4.add(s00, i32x4.dot_i16x8_s(b0, v));
    s01 = i32x4.add(s01, i32x4.dot_i16x8_s(b1, v));
    v = v128.load(a1, 16);
    s10 = i32x4.add(s10, i32x4.dot_i16x8_s(b0, v));
    s11 = i32x4.add(s11, i32x4.dot_i16x8_s(b1, v));
    v = v128.load(a2, 16);
    s20 = i32x4.add(s20, i32x4.dot_i16x8_s(b0, v));
    s21 = i32x4.add(s21, i32x4.dot_i16x8_s(b1, v));
    v = v128.load(a3, 16);
    s30 = i32x4.add(s30, i32x4.dot_i16x8_s(b0, v));
    s31 = i32x4.add(s31, i32x4.dot_i16x8_s(b1, v));
    a0 += 32;
    a1 += 32;
    a2 += 32;
    a3 += 32;
  }
  const at = (<usize>column) << 2;
  const both = column + 1 < columns;
  const c0 = load<f32>(scales + at);
  const c1 = both ? load<f32>(scales + at, 4) : 0;
  let o = y + at;
  putTwo(o, sum(s00), sum(s01), c0, c1, load<f32>(sizes), both);
  o += outBytes;
  putTwo(o, sum(s10), sum(s11), c0, c1, load<f32>(sizes, 4), both);
  o += outBytes;
  putTwo(o, sum(s20), sum(s21), c0, c1, load<f32>(sizes, 8), both);
  o += outBytes;
  putTwo(o, sum(s30), sum(s31), c0, c1, load<f32>(sizes, 12), both);
}

// @ts-ignore: decorator
@inline
function putTwo(out: usize, a: i32, b: i32, c0: f32, c1: f32, size: f32, both: bool): void {
  put(out, a, c0, size);
  if (both) put(out + 4, b, c1, size);
}
