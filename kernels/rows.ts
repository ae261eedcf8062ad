/**
 * What is done to each row by itself. A thread takes every so-manieth row, the same ones in each of these
 * operations, so that several of them can follow each other without waiting for anybody. Widths are
 * multiples of four; all is float32 unless said otherwise.
 */
import { exp4, max4, sum4 } from './exp';

/** `x / sqrt(mean(x^2) + epsilon) * gain` (RMSNorm, Zhang and Sennrich 2019). */
export function norm(row: usize, dst: usize, src: usize, gain: usize, width: i32, epsilon: f32): void {
  const bytes = <usize>width << 2;
  const x = src + row * bytes;
  const y = dst + row * bytes;
  let squares = f32x4.splat(0);
  for (let at: usize = 0; at < bytes; at += 16) {
    const v = v128.load(x + at);
    squares = f32x4.add(squares, f32x4.mul(v, v));
  }
  const size = f32x4.splat(sqrt<f32>(sum4(squares) / <f32>width + epsilon));
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(y + at, f32x4.mul(f32x4.div(v128.load(x + at), size), v128.load(gain + at)));
  }
}

/**
 * A row in 8 bits, written as int16: 127 for the element that is largest in size, which is kept in `largest`.
 * Rounds halves to even. `inner` is the width up to the next multiple of 16; what is added is zero.
 */
export function quantise(
  row: usize,
  values: usize,
  largest: usize,
  src: usize,
  width: i32,
  inner: i32,
  step: f32,
  least: f32,
): void {
  const bytes = <usize>width << 2;
  const x = src + row * bytes;
  let top = f32x4.splat(0);
  for (let at: usize = 0; at < bytes; at += 16) top = f32x4.max(top, f32x4.abs(v128.load(x + at)));
  const size = max(max4(top), least);
  store<f32>(largest + (row << 2), size);
  const by = f32x4.splat(size);
  const steps = f32x4.splat(step);
  let y = values + row * (<usize>inner << 1);
  const end = y + (<usize>inner << 1);
  for (let at: usize = 0; at < bytes; at += 16, y += 8) {
    const v = f32x4.nearest(f32x4.div(f32x4.div(v128.load(x + at), by), steps));
    const whole = i32x4.trunc_sat_f32x4_s(v);
    v128.store64_lane(y, i16x8.narrow_i32x4_s(whole, whole), 0);
  }
  for (; y < end; y += 8) store<i64>(y, 0);
}

export function add(row: usize, dst: usize, a: usize, b: usize, width: i32): void {
  const bytes = <usize>width << 2;
  const from = row * bytes;
  for (let at = from; at < from + bytes; at += 16) {
    v128.store(dst + at, f32x4.add(v128.load(a + at), v128.load(b + at)));
  }
}

/** The same vector added to each row. */
export function shift(row: usize, dst: usize, src: usize, vector: usize, width: i32): void {
  const bytes = <usize>width << 2;
  const from = row * bytes;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(dst + from + at, f32x4.add(v128.load(src + from + at), v128.load(vector + at)));
  }
}

/** Each row multiplied by the same vector, element by element. */
export function scale(row: usize, dst: usize, src: usize, vector: usize, width: i32): void {
  const bytes = <usize>width << 2;
  const from = row * bytes;
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(dst + from + at, f32x4.mul(v128.load(src + from + at), v128.load(vector + at)));
  }
}

/** `gate * sigmoid(alpha * gate) * up`; both lie in one row of `src`, `width` of them each. */
export function gated(
  row: usize,
  dst: usize,
  src: usize,
  gateAt: i32,
  upAt: i32,
  srcWidth: i32,
  width: i32,
  alpha: f32,
): void {
  const x = src + row * (<usize>srcWidth << 2);
  const gates = x + (<usize>gateAt << 2);
  const ups = x + (<usize>upAt << 2);
  const y = dst + row * (<usize>width << 2);
  const one = f32x4.splat(1);
  const by = f32x4.splat(-alpha);
  for (let at: usize = 0; at < <usize>width << 2; at += 16) {
    const gate = v128.load(gates + at);
    const active = f32x4.div(gate, f32x4.add(one, exp4(f32x4.mul(gate, by))));
    v128.store(y + at, f32x4.mul(active, v128.load(ups + at)));
  }
}

/** A row as `[width / size, size]` times a `[size, size]` matrix. Any size: what is over is done one by one. */
export function mix(row: usize, dst: usize, src: usize, matrix: usize, size: i32, width: i32): void {
  const bytes = <usize>width << 2;
  const group = <usize>size << 2;
  for (let at = row * bytes; at < (row + 1) * bytes; at += group) {
    combine(dst + at, src + at, size, matrix, group, group);
  }
}

/** A `[blocks, blocks]` matrix times a row as `[blocks, width]`. */
export function mixBlocks(row: usize, dst: usize, src: usize, matrix: usize, blocks: i32, width: i32): void {
  const line = <usize>width << 2;
  const from = row * line * blocks;
  for (let block: usize = 0; block < <usize>blocks; block++) {
    combine(dst + from + block * line, matrix + block * (<usize>blocks << 2), blocks, src + from, line, line);
  }
}

/** `bytes` of sums over `count` lines, `stride` apart, each line times its factor. */
// @ts-expect-error: decorator
@inline
function combine(
  dst: usize,
  factors: usize,
  count: i32,
  lines: usize,
  stride: usize,
  bytes: usize,
): void {
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
    let even = f32x4.splat(0);
    let odd = f32x4.splat(0);
    let factor = factors;
    let line = lines + at;
    let left = count;
    for (; left >= 2; left -= 2) {
      even = f32x4.add(even, f32x4.mul(v128.load32_splat(factor), v128.load(line)));
      odd = f32x4.add(odd, f32x4.mul(v128.load32_splat(factor, 4), v128.load(line + stride)));
      factor += 8;
      line += 2 * stride;
    }
    if (left > 0) even = f32x4.add(even, f32x4.mul(v128.load32_splat(factor), v128.load(line)));
    v128.store(dst + at, f32x4.add(even, odd));
  }
  for (; at < bytes; at += 4) {
    let total: f32 = 0;
    for (let index: usize = 0; index < <usize>count; index++) {
      total += load<f32>(factors + (index << 2)) * load<f32>(lines + index * stride + at);
    }
    store<f32>(dst + at, total);
  }
}

/** A row of int8 times its scale. `stride` is from one run of sixteen elements to the next. */
export function decode(row: usize, dst: usize, codes: usize, stride: usize, scale: f32, width: i32): void {
  const y = dst + row * ((<usize>width) << 2);
  const size = f32x4.splat(scale);
  for (let at: usize = 0; at < <usize>width; at += 4) {
    const x = codes + (at >> 4) * stride + (at & 15);
    const four = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(x)));
    v128.store(y + (at << 2), f32x4.mul(f32x4.convert_i32x4_s(four), size));
  }
}

/** A row of int8 as it is. */
export function takeCodes(row: usize, dst: usize, codes: usize, stride: usize, width: i32): void {
  const y = dst + row * <usize>width;
  for (let at: usize = 0; at < <usize>width; at += 4) {
    store<u32>(y + at, load<u32>(codes + (at >> 4) * stride + (at & 15)));
  }
}

/** Row `from` of `src`. */
export function copy(row: usize, dst: usize, src: usize, from: i32, bytes: i32): void {
  memory.copy(dst + row * <usize>bytes, src + <usize>from * bytes, bytes);
}
