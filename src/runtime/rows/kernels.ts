/** The compiled kernels over a memory of their own; see `kernels/index.ts` for what they do. */
import { KERNELS, SHARED_KERNELS } from './generated/kernels.ts';

const PAGE_BYTES = 65536;

/** What 32-bit addresses reach. Machines that do not reserve that much for shared memory get a part. */
const MAX_PAGES = [65536, 32768, 16384];

export interface Kernels {
  readonly memory: WebAssembly.Memory;
  /** For threads to make their own instance of; shared memory only. */
  readonly module: WebAssembly.Module;
  /** The first byte that is free to use. */
  readonly base: number;
  /** Positions of a page of state. */
  readonly pagePositions: number;
  /** Rows whose scores a thread holds at a time. */
  readonly attendedRows: number;
  /** Runs the program of a run block; see `run-block.ts`. */
  start(block: number): void;
  /** Puts rows of an int8 matrix in their place in its packed form. */
  transpose(
    target: number,
    source: number,
    from: number,
    count: number,
    columns: number,
    inner: number,
  ): void;
}

interface KernelExports {
  freeFrom(): number;
  pagePositions(): number;
  attendedRows(): number;
  start(block: number): void;
  transpose: Kernels['transpose'];
}

/**
 * @param shared memory that other threads see too; needs cross-origin isolation in browsers
 * @throws what WebAssembly throws where it lacks SIMD or memory is refused
 */
export async function openKernels(shared: boolean): Promise<Kernels> {
  const module = await WebAssembly.compile(decode(shared ? SHARED_KERNELS : KERNELS));
  const memory = shared ? sharedMemory() : new WebAssembly.Memory({ initial: 1 });
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  // What kernels/index.ts exports; nothing else gives these types.
  const exports = instance.exports as unknown as KernelExports;
  return {
    memory,
    module,
    base: exports.freeFrom(),
    pagePositions: exports.pagePositions(),
    attendedRows: exports.attendedRows(),
    start: (block) => exports.start(block),
    transpose: (...given) => exports.transpose(...given),
  };
}

/** Makes memory reach as far as `bytes`. Throws `RangeError` where there is no more. */
export function growTo(memory: WebAssembly.Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
}

function sharedMemory(): WebAssembly.Memory {
  let failure: unknown;
  for (const maximum of MAX_PAGES) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared: true });
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
