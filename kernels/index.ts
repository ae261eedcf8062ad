/**
 * Kernels for text models in plain WebAssembly SIMD, and the loop that runs a list of operations over them:
 * one call from JavaScript for all blocks of a step, on every thread. Only instructions whose results the
 * specification fixes are used, so that every browser and Node make the same bits.
 *
 * An operation is 16 words: its kind, whether all threads meet behind it, its counter, a spare word and 12
 * arguments. `src/runtime/rows/` writes them; numbers and places there and here must agree.
 */
import { ATTENDED_ROWS, attend, PAGE, rotate } from './attention';
import { columnAt, RUN_STRIDE, transpose } from './pack';
import { multiply } from './product';
import { add, copy, decode, gated, mix, mixBlocks, norm, quantise, scale, shift, takeCodes } from './rows';
import { meet } from './sync';

const EMBED: i32 = 1;
const NORM: i32 = 2;
const ADD: i32 = 3;
const QUANTISE: i32 = 4;
const PRODUCT: i32 = 5;
const SHIFT: i32 = 6;
const ROTATE: i32 = 7;
const ATTEND: i32 = 8;
const GATED: i32 = 9;
const MIX: i32 = 10;
const MIX_BLOCKS: i32 = 11;
const SCALE: i32 = 12;
const PICK: i32 = 13;
const TAKE_CODES: i32 = 14;
const TAKE_SCALES: i32 = 15;
const DECODE: i32 = 16;

const OPERATION_BYTES: usize = 64;

/** Words of the run block, in bytes; the first two are `sync.ts`'s. */
const THREADS: usize = 8;
const ROWS: usize = 12;
const POSITION: usize = 16;
const TOKENS: usize = 20;
const PICKED: usize = 24;
const TABLES: usize = 28;
const TABLE_BYTES: usize = 32;
const SCORES: usize = 36;
const SCORES_BYTES: usize = 40;
const PROGRAM: usize = 44;
const COUNT: usize = 48;
const EPOCH: usize = 52;
const SCORES_STRIDE: usize = 56;

/** Looks for the next run before a helper goes to sleep. */
const SPINS: i32 = 50000;

export { transpose };

/** The first byte of memory that is free to use. */
export function freeFrom(): usize {
  return __heap_base;
}

/** Rows that a thread attends to at a time: it needs room for the scores of each. */
export function attendedRows(): i32 {
  return ATTENDED_ROWS;
}

export function pagePositions(): i32 {
  return PAGE;
}

/** Runs the block's program on the calling thread and on those that serve the block. */
export function start(block: usize): void {
  if (ASC_FEATURE_THREADS) {
    if (load<i32>(block, THREADS) > 1) {
      atomic.add<i32>(block + EPOCH, 1);
      atomic.notify(block + EPOCH, -1);
    }
  }
  run(block, 0);
}

/** A helper's life: it is ended from outside. `epoch` is the number of runs before it came. */
export function serve(block: usize, thread: i32, epoch: i32): void {
  if (ASC_FEATURE_THREADS) {
    let seen = epoch;
    while (true) {
      let now = atomic.load<i32>(block + EPOCH);
      for (let spin = 0; now == seen && spin < SPINS; spin++) now = atomic.load<i32>(block + EPOCH);
      while (now == seen) {
        atomic.wait<i32>(block + EPOCH, seen, -1);
        now = atomic.load<i32>(block + EPOCH);
      }
      seen = now;
      run(block, thread);
    }
  }
}

function run(block: usize, thread: i32): void {
  const threads = load<i32>(block, THREADS);
  const rows = load<i32>(block, ROWS);
  const position = load<i32>(block, POSITION);
  const tables = <usize>load<u32>(block, TABLES);
  const tableBytes = <usize>load<u32>(block, TABLE_BYTES);
  const scoresStride = <usize>load<u32>(block, SCORES_STRIDE);
  const scores = <usize>load<u32>(block, SCORES) + <usize>thread * load<u32>(block, SCORES_BYTES);
  let op = <usize>load<u32>(block, PROGRAM);
  const end = op + <usize>load<u32>(block, COUNT) * OPERATION_BYTES;
  for (; op < end; op += OPERATION_BYTES) {
    const a = <usize>load<u32>(op, 16);
    const b = <usize>load<u32>(op, 20);
    const c = <usize>load<u32>(op, 24);
    const d = load<i32>(op, 28);
    const e = load<i32>(op, 32);
    const f = load<i32>(op, 36);
    switch (load<i32>(op)) {
      case EMBED: {
        // out, table, scales, width, inner
        const tokens = <usize>load<u32>(block, TOKENS);
        for (let row = thread; row < rows; row += threads) {
          const token = <usize>load<i32>(tokens + ((<usize>row) << 2));
          decode(row, a, columnAt(b, token, e), RUN_STRIDE, load<f32>(c + (token << 2)), d);
        }
        break;
      }
      case TAKE_CODES: {
        // out, table, -, width, inner: the codes of each token as they are
        const tokens = <usize>load<u32>(block, TOKENS);
        for (let row = thread; row < rows; row += threads) {
          const token = <usize>load<i32>(tokens + ((<usize>row) << 2));
          takeCodes(row, a, columnAt(b, token, e), RUN_STRIDE, d);
        }
        break;
      }
      case TAKE_SCALES: {
        // out, scales
        const tokens = <usize>load<u32>(block, TOKENS);
        for (let row = thread; row < rows; row += threads) {
          copy(row, a, b, load<i32>(tokens + ((<usize>row) << 2)), 4);
        }
        break;
      }
      case DECODE: {
        // out, codes, scales, width
        for (let row = thread; row < rows; row += threads) {
          decode(row, a, b + <usize>row * d, 16, load<f32>(c + ((<usize>row) << 2)), d);
        }
        break;
      }
      case NORM: {
        for (let row = thread; row < rows; row += threads) norm(row, a, b, c, d, load<f32>(op, 32));
        break;
      }
      case ADD: {
        for (let row = thread; row < rows; row += threads) add(row, a, b, c, d);
        break;
      }
      case QUANTISE: {
        for (let row = thread; row < rows; row += threads) {
          quantise(row, a, b, c, d, e, load<f32>(op, 36), load<f32>(op, 40));
        }
        break;
      }
      case PRODUCT: {
        // values, largest, matrix, scales, out, columns, inner
        multiply(op + 8, rows, a, b, c, <usize>d, <usize>e, f, load<i32>(op, 40));
        break;
      }
      case SHIFT: {
        for (let row = thread; row < rows; row += threads) shift(row, a, b, c, d);
        break;
      }
      case ROTATE: {
        // packed, cos, sin, layer, heads, kvHeads, headDim, half
        const pages = tables + <usize>d * tableBytes;
        for (let row = thread; row < rows; row += threads) {
          rotate(row, position + row, a, pages, b, c, e, f, load<i32>(op, 40), load<i32>(op, 44));
        }
        break;
      }
      case ATTEND: {
        // out, packed, -, layer, heads, kvHeads, headDim
        const pages = tables + <usize>d * tableBytes;
        attend(op + 8, rows, position, a, b, pages, e, f, load<i32>(op, 40), scores, scoresStride);
        break;
      }
      case GATED: {
        // out, packed, -, gate, up, packed's width, width, alpha
        for (let row = thread; row < rows; row += threads) {
          gated(row, a, b, d, e, f, load<i32>(op, 40), load<f32>(op, 44));
        }
        break;
      }
      case MIX: {
        for (let row = thread; row < rows; row += threads) mix(row, a, b, c, d, e);
        break;
      }
      case MIX_BLOCKS: {
        for (let row = thread; row < rows; row += threads) mixBlocks(row, a, b, c, d, e);
        break;
      }
      case SCALE: {
        for (let row = thread; row < rows; row += threads) scale(row, a, b, c, d);
        break;
      }
      case PICK: {
        const picked = <usize>load<u32>(block, PICKED);
        for (let row = thread; row < rows; row += threads) {
          copy(row, a, b, load<i32>(picked + ((<usize>row) << 2)), d);
        }
        break;
      }
      default:
        unreachable();
    }
    if (load<i32>(op, 4) != 0) meet(block, threads);
  }
}
