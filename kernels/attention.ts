/**
 * Grouped-query attention (Ainslie et al. 2023) with rotary positions (Su et al. 2021) over a paged KV cache
 * (Kwon et al. 2023): a page has `PAGE` positions of one layer, `[kvHeads, PAGE, headDim]` of keys and the same
 * of values. Each row sees the positions up to its own, one after the other in the same order however many
 * rows a run has, so that its bits do not depend on them.
 */
import { exp4, max4, sum4 } from './exp';
import { nextPiece } from './sync';

/** Positions in a page; the runner lays pages out and is given this number. */
export const PAGE: i32 = 32;
const PAGE_SHIFT: i32 = 5;

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

/**
 * @param out `[rows, heads * headDim]`
 * @param packed `[rows, (heads + 2 kvHeads) * headDim]`, rotated
 * @param scores room of this thread for as many floats as positions, up to the next multiple of four
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
): void {
  const group = heads / kvHeads;
  const head = (<usize>headDim) << 2;
  const factor: f32 = 1 / sqrt<f32>(<f32>headDim);
  const stride = <usize>PAGE * head;
  const tasks = rows * kvHeads;
  for (let task = nextPiece(counter); task < tasks; task = nextPiece(counter)) {
    const row = task / kvHeads;
    const kvHead = task % kvHeads;
    const seen = position + row + 1;
    const keys = <usize>kvHead * stride;
    const values = <usize>(kvHeads + kvHead) * stride;
    for (let index = kvHead * group; index < (kvHead + 1) * group; index++) {
      const query = packed + (<usize>row * (heads + 2 * kvHeads) + index) * head;
      const total = share(query, pages, keys, seen, headDim, scores, factor);
      gather(out + (<usize>row * heads + index) * head, pages, values, seen, headDim, scores, total);
    }
  }
}

/** Leaves `exp(score - largest score)` of the positions in `scores` and returns their sum. */
function share(
  query: usize,
  pages: usize,
  keys: usize,
  seen: i32,
  headDim: i32,
  scores: usize,
  factor: f32,
): f32 {
  const head = (<usize>headDim) << 2;
  let y = scores;
  for (let from = 0; from < seen; from += PAGE) {
    let k = <usize>load<u32>(pages + ((<usize>(from >> PAGE_SHIFT)) << 2)) + keys;
    const here = min(PAGE, seen - from);
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
      store<f32>(y, sum4(s0) * factor);
      store<f32>(y, sum4(s1) * factor, 4);
      store<f32>(y, sum4(s2) * factor, 8);
      store<f32>(y, sum4(s3) * factor, 12);
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
  const end = scores + ((<usize>((seen + 3) & ~3)) << 2);
  for (; y < end; y += 4) store<f32>(y, -f32.MAX_VALUE);
  let top = v128.load(scores);
  for (let at = scores + 16; at < end; at += 16) top = f32x4.max(top, v128.load(at));
  const largest = f32x4.splat(max4(top));
  let sum = f32x4.splat(0);
  for (let at = scores; at < end; at += 16) {
    const e = exp4(f32x4.sub(v128.load(at), largest));
    v128.store(at, e);
    sum = f32x4.add(sum, e);
  }
  return sum4(sum);
}

/** The values of the positions, by their shares; 32 elements at a time, then four. */
function gather(
  out: usize,
  pages: usize,
  values: usize,
  seen: i32,
  headDim: i32,
  scores: usize,
  total: f32,
): void {
  const head = (<usize>headDim) << 2;
  const by = f32x4.splat(total);
  let d: usize = 0;
  for (; d + 128 <= head; d += 128) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let s4 = s0;
    let s5 = s0;
    let s6 = s0;
    let s7 = s0;
    let p = scores;
    for (let from = 0; from < seen; from += PAGE) {
      let v = <usize>load<u32>(pages + ((<usize>(from >> PAGE_SHIFT)) << 2)) + values + d;
      const end = v + <usize>min(PAGE, seen - from) * head;
      for (; v < end; v += head, p += 4) {
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
    }
    const y = out + d;
    v128.store(y, f32x4.div(s0, by));
    v128.store(y, f32x4.div(s1, by), 16);
    v128.store(y, f32x4.div(s2, by), 32);
    v128.store(y, f32x4.div(s3, by), 48);
    v128.store(y, f32x4.div(s4, by), 64);
    v128.store(y, f32x4.div(s5, by), 80);
    v128.store(y, f32x4.div(s6, by), 96);
    v128.store(y, f32x4.div(s7, by), 112);
  }
  for (; d < head; d += 16) {
    let s = f32x4.splat(0);
    let p = scores;
    for (let from = 0; from < seen; from += PAGE) {
      let v = <usize>load<u32>(pages + ((<usize>(from >> PAGE_SHIFT)) << 2)) + values + d;
      const end = v + <usize>min(PAGE, seen - from) * head;
      for (; v < end; v += head, p += 4) {
        s = f32x4.add(s, f32x4.mul(v128.load32_splat(p), v128.load(v)));
      }
    }
    v128.store(out + d, f32x4.div(s, by));
  }
}
