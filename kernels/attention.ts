/**
 * Grouped-query attention (Ainslie et al. 2023) with rotary positions (Su et al. 2021) over a paged KV cache
 * (Kwon et al. 2023): a page has `PAGE` positions of one layer, `[kvHeads, PAGE, headDim]` of keys and the same
 * of values. Each row sees the positions up to its own, one after the other in the same order however many
 * rows a run has, so that its bits do not depend on them.
 */
import { exp4, max4, sum4 } from './exp';
import { nextPiece } from './sync';

/** Positions in a page; the runner lays pages out and is given this number. */
export const PAGE: i32 = 64;
const PAGE_SHIFT: i32 = 6;

/** Rotates queries in their place, puts rotated keys and the values of a row into the page of its position. */
export function rotate(
  row: usize,
  position: i32,
  packed: usize,
  pages: usize,
  cos: usize,
  sin: usize,
  heads: i32,
  kvHeads: i32,
  headDim: i32,
  half: i32,
): void {
  const head = (<usize>headDim) << 2;
  const x = packed + row * <usize>(heads + 2 * kvHeads) * head;
  const table = (<usize>(position * half)) << 2;
  const c = cos + table;
  const s = sin + table;
  for (let index = 0; index < heads; index++) turn(x + <usize>index * head, c, s, half);
  const page = <usize>load<u32>(pages + ((<usize>(position >> PAGE_SHIFT)) << 2));
  const slot = <usize>(position & (PAGE - 1)) * head;
  const stride = <usize>PAGE * head;
  const keys = x + <usize>heads * head;
  for (let index = 0; index < kvHeads; index++) {
    const key = keys + <usize>index * head;
    turn(key, c, s, half);
    memory.copy(page + <usize>index * stride + slot, key, head);
    memory.copy(page + <usize>(kvHeads + index) * stride + slot, key + <usize>kvHeads * head, head);
  }
}

/** The two halves of the rotated part lie one behind the other. */
function turn(x: usize, cos: usize, sin: usize, half: i32): void {
  const bytes = (<usize>half) << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const a = v128.load(x + at);
    const b = v128.load(x + bytes + at);
    const c = v128.load(cos + at);
    const s = v128.load(sin + at);
    v128.store(x + at, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
    v128.store(x + bytes + at, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)));
  }
}

/** Rows of a run that a thread takes at a time: what one of them read of a page, the others find near. */
export const ATTENDED_ROWS: i32 = 4;

/**
 * Page after page for all queries that read it, which are those of a few rows and of the heads that share keys
 * and values: from memory a page comes once.
 * @param out `[rows, heads * headDim]`
 * @param packed `[rows, (heads + 2 kvHeads) * headDim]`, rotated
 * @param scores room of this thread for `ATTENDED_ROWS` times the heads of a group, `stride` bytes for each
 */
export function attend(
  counter: usize,
  rows: i32,
  position: i32,
  out: usize,
  packed: usize,
  pages: usize,
  heads: i32,
  kvHeads: i32,
  headDim: i32,
  scores: usize,
  stride: usize,
): void {
  const group = heads / kvHeads;
  const head = (<usize>headDim) << 2;
  const factor: f32 = 1 / sqrt<f32>(<f32>headDim);
  const pageStride = <usize>PAGE * head;
  const tasks = ((rows + ATTENDED_ROWS - 1) / ATTENDED_ROWS) * kvHeads;
  for (let task = nextPiece(counter); task < tasks; task = nextPiece(counter)) {
    const kvHead = task % kvHeads;
    const first = (task / kvHeads) * ATTENDED_ROWS;
    const end = min(first + ATTENDED_ROWS, rows);
    const keys = <usize>kvHead * pageStride;
    const values = <usize>(kvHeads + kvHead) * pageStride;
    const last = position + end;
    for (let from = 0; from < last; from += PAGE) {
      const k = <usize>load<u32>(pages + ((<usize>(from >> PAGE_SHIFT)) << 2)) + keys;
      let y = scores + ((<usize>from) << 2);
      for (let row = first; row < end; row++) {
        const here = min(PAGE, position + row + 1 - from);
        let query = packed + (<usize>row * (heads + 2 * kvHeads) + kvHead * group) * head;
        let left = here > 0 ? group : 0;
        for (; left >= 2; left -= 2, query += 2 * head, y += 2 * stride) {
          scoreTwo(query, k, here, head, y, stride, factor);
        }
        if (left > 0) score(query, k, here, head, y, factor);
        y = scores + ((<usize>from) << 2) + <usize>((row - first + 1) * group) * stride;
      }
    }
    let y = scores;
    for (let row = first; row < end; row++) {
      for (let index = 0; index < group; index++, y += stride) share(y, position + row + 1);
    }
    for (let row = first; row < end; row++) {
      memory.fill(out + (<usize>row * heads + kvHead * group) * head, 0, <usize>group * head);
    }
    for (let from = 0; from < last; from += PAGE) {
      const v = <usize>load<u32>(pages + ((<usize>(from >> PAGE_SHIFT)) << 2)) + values;
      y = scores + ((<usize>from) << 2);
      for (let row = first; row < end; row++) {
        const here = min(PAGE, position + row + 1 - from);
        let target = out + (<usize>row * heads + kvHead * group) * head;
        let left = here > 0 ? group : 0;
        for (; left >= 2; left -= 2, target += 2 * head, y += 2 * stride) {
          gatherTwo(target, v, here, head, y, stride);
        }
        if (left > 0) gather(target, v, here, head, y);
        y = scores + ((<usize>from) << 2) + <usize>((row - first + 1) * group) * stride;
      }
    }
  }
}

/** `score` for two queries, one head apart, which read each key once. */
// @ts-ignore: decorator
@inline
function scoreTwo(
  query: usize,
  keys: usize,
  here: i32,
  head: usize,
  scores: usize,
  stride: usize,
  factor: f32,
): void {
  const fours = here & ~3;
  const other = query + head;
  let k = keys;
  let y = scores;
  for (let at = 0; at < fours; at += 4) {
    let a0 = f32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    let b0 = a0;
    let b1 = a0;
    let b2 = a0;
    let b3 = a0;
    for (let d: usize = 0; d < head; d += 16) {
      const a = v128.load(query + d);
      const b = v128.load(other + d);
      let key = k + d;
      let v = v128.load(key);
      a0 = f32x4.add(a0, f32x4.mul(a, v));
      b0 = f32x4.add(b0, f32x4.mul(b, v));
      key += head;
      v = v128.load(key);
      a1 = f32x4.add(a1, f32x4.mul(a, v));
      b1 = f32x4.add(b1, f32x4.mul(b, v));
      key += head;
      v = v128.load(key);
      a2 = f32x4.add(a2, f32x4.mul(a, v));
      b2 = f32x4.add(b2, f32x4.mul(b, v));
      key += head;
      v = v128.load(key);
      a3 = f32x4.add(a3, f32x4.mul(a, v));
      b3 = f32x4.add(b3, f32x4.mul(b, v));
    }
    putFour(y, a0, a1, a2, a3, factor);
    putFour(y + stride, b0, b1, b2, b3, factor);
    y += 16;
    k += 4 * head;
  }
  if (fours == here) return;
  score(query, k, here - fours, head, y, factor);
  score(other, k, here - fours, head, y + stride, factor);
}

// @ts-ignore: decorator
@inline
function putFour(y: usize, s0: v128, s1: v128, s2: v128, s3: v128, factor: f32): void {
  store<f32>(y, sum4(s0) * factor);
  store<f32>(y, sum4(s1) * factor, 4);
  store<f32>(y, sum4(s2) * factor, 8);
  store<f32>(y, sum4(s3) * factor, 12);
}

/** Scores of a page's first `here` positions. */
function score(query: usize, keys: usize, here: i32, head: usize, scores: usize, factor: f32): void {
  let k = keys;
  let y = scores;
  let at = 0;
  for (; at + 4 <= here; at += 4) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let d: usize = 0; d < head; d += 16) {
      const q = v128.load(query + d);
      const key = k + d;
      s0 = f32x4.add(s0, f32x4.mul(q, v128.load(key)));
      s1 = f32x4.add(s1, f32x4.mul(q, v128.load(key + head)));
      s2 = f32x4.add(s2, f32x4.mul(q, v128.load(key + 2 * head)));
      s3 = f32x4.add(s3, f32x4.mul(q, v128.load(key + 3 * head)));
    }
    putFour(y, s0, s1, s2, s3, factor);
    y += 16;
    k += 4 * head;
  }
  for (; at < here; at++) {
    let s = f32x4.splat(0);
    for (let d: usize = 0; d < head; d += 16) {
      s = f32x4.add(s, f32x4.mul(v128.load(query + d), v128.load(k + d)));
    }
    store<f32>(y, sum4(s) * factor);
    y += 4;
    k += head;
  }
}

/** Scores become shares that add up to one (softmax). */
function share(scores: usize, seen: i32): void {
  const end = scores + ((<usize>((seen + 3) & ~3)) << 2);
  for (let y = scores + ((<usize>seen) << 2); y < end; y += 4) store<f32>(y, -f32.MAX_VALUE);
  let top = v128.load(scores);
  for (let at = scores + 16; at < end; at += 16) top = f32x4.max(top, v128.load(at));
  const largest = f32x4.splat(max4(top));
  let sum = f32x4.splat(0);
  for (let at = scores; at < end; at += 16) {
    const e = exp4(f32x4.sub(v128.load(at), largest));
    v128.store(at, e);
    sum = f32x4.add(sum, e);
  }
  const total = f32x4.splat(sum4(sum));
  for (let at = scores; at < end; at += 16) v128.store(at, f32x4.div(v128.load(at), total));
}

/** `gather` for two queries, one head apart, which read each value once. */
// @ts-ignore: decorator
@inline
function gatherTwo(out: usize, values: usize, here: i32, head: usize, shares: usize, stride: usize): void {
  const end = values + <usize>here * head;
  let d: usize = 0;
  for (; d + 64 <= head; d += 64) {
    const y = out + d;
    const z = y + head;
    let a0 = v128.load(y);
    let a1 = v128.load(y, 16);
    let a2 = v128.load(y, 32);
    let a3 = v128.load(y, 48);
    let b0 = v128.load(z);
    let b1 = v128.load(z, 16);
    let b2 = v128.load(z, 32);
    let b3 = v128.load(z, 48);
    let p = shares;
    for (let v = values + d; v < end; v += head, p += 4) {
      const a = v128.load32_splat(p);
      const b = v128.load32_splat(p + stride);
      let value = v128.load(v);
      a0 = f32x4.add(a0, f32x4.mul(a, value));
      b0 = f32x4.add(b0, f32x4.mul(b, value));
      value = v128.load(v, 16);
      a1 = f32x4.add(a1, f32x4.mul(a, value));
      b1 = f32x4.add(b1, f32x4.mul(b, value));
      value = v128.load(v, 32);
      a2 = f32x4.add(a2, f32x4.mul(a, value));
      b2 = f32x4.add(b2, f32x4.mul(b, value));
      value = v128.load(v, 48);
      a3 = f32x4.add(a3, f32x4.mul(a, value));
      b3 = f32x4.add(b3, f32x4.mul(b, value));
    }
    v128.store(y, a0);
    v128.store(y, a1, 16);
    v128.store(y, a2, 32);
    v128.store(y, a3, 48);
    v128.store(z, b0);
    v128.store(z, b1, 16);
    v128.store(z, b2, 32);
    v128.store(z, b3, 48);
  }
  if (d == head) return;
  gatherFrom(d, out, values, end, head, shares);
  gatherFrom(d, out + head, values, end, head, shares + stride);
}

/** Adds the values of a page's first `here` positions by their shares; 32 elements at a time, then four. */
// @ts-ignore: decorator
@inline
function gather(out: usize, values: usize, here: i32, head: usize, shares: usize): void {
  const end = values + <usize>here * head;
  let d: usize = 0;
  for (; d + 128 <= head; d += 128) {
    const y = out + d;
    let s0 = v128.load(y);
    let s1 = v128.load(y, 16);
    let s2 = v128.load(y, 32);
    let s3 = v128.load(y, 48);
    let s4 = v128.load(y, 64);
    let s5 = v128.load(y, 80);
    let s6 = v128.load(y, 96);
    let s7 = v128.load(y, 112);
    let p = shares;
    for (let v = values + d; v < end; v += head, p += 4) {
      const share = v128.load32_splat(p);
      s0 = f32x4.add(s0, f32x4.mul(share, v128.load(v)));
      s1 = f32x4.add(s1, f32x4.mul(share, v128.load(v, 16)));
      s2 = f32x4.add(s2, f32x4.mul(share, v128.load(v, 32)));
      s3 = f32x4.add(s3, f32x4.mul(share, v128.load(v, 48)));
      s4 = f32x4.add(s4, f32x4.mul(share, v128.load(v, 64)));
      s5 = f32x4.add(s5, f32x4.mul(share, v128.load(v, 80)));
      s6 = f32x4.add(s6, f32x4.mul(share, v128.load(v, 96)));
      s7 = f32x4.add(s7, f32x4.mul(share, v128.load(v, 112)));
    }
    v128.store(y, s0);
    v128.store(y, s1, 16);
    v128.store(y, s2, 32);
    v128.store(y, s3, 48);
    v128.store(y, s4, 64);
    v128.store(y, s5, 80);
    v128.store(y, s6, 96);
    v128.store(y, s7, 112);
  }
  gatherFrom(d, out, values, end, head, shares);
}

/** Elements from `from` on, four at a time. */
function gatherFrom(from: usize, out: usize, values: usize, end: usize, head: usize, shares: usize): void {
  for (let d = from; d < head; d += 16) {
    let s = v128.load(out + d);
    let p = shares;
    for (let v = values + d; v < end + d; v += head, p += 4) {
      s = f32x4.add(s, f32x4.mul(v128.load32_splat(p), v128.load(v)));
    }
    v128.store(out + d, s);
  }
}
