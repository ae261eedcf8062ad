/**
 * The words through which JavaScript and the kernels speak: where a run's program, rows and state are, and
 * where threads meet. Places agree with `kernels/index.ts` and `kernels/sync.ts`.
 */
import { type Argument, KIND, type Operation, type WeightUse } from './program.ts';

export const RUN_BLOCK_BYTES = 64;

const OPERATION_WORDS = 16;
export const OPERATION_BYTES = OPERATION_WORDS * 4;

/** Words of the block; the first two are the kernels' own. */
const WORD = {
  threads: 2,
  rows: 3,
  position: 4,
  tokens: 5,
  picked: 6,
  tables: 7,
  tableBytes: 8,
  scores: 9,
  scoresBytes: 10,
  program: 11,
  count: 12,
  scoresStride: 14,
} as const;

export const EPOCH_BYTE = 52;

export type RunValues = { readonly [word in keyof typeof WORD]: number };

export function writeRunBlock(memory: WebAssembly.Memory, block: number, values: RunValues): void {
  const words = new Uint32Array(memory.buffer, block, RUN_BLOCK_BYTES / 4);
  for (const [name, word] of Object.entries(WORD)) words[word] = values[name as keyof RunValues];
}

/** Where things are once they have a place. */
export interface Addresses {
  buffer(id: number): number;
  weight(use: WeightUse): number;
  layer(pastKey: string): number;
}

/**
 * Writes operations as the kernels read them.
 * @param meets whether all threads wait for each other behind an operation
 */
export function writeOperations(
  memory: WebAssembly.Memory,
  at: number,
  operations: readonly Operation[],
  addresses: Addresses,
  meets: (index: number) => boolean,
): void {
  const view = new DataView(memory.buffer, at, operations.length * OPERATION_BYTES);
  operations.forEach(({ kind, args }, index) => {
    const from = index * OPERATION_BYTES;
    view.setInt32(from, KIND[kind], true);
    view.setInt32(from + 4, meets(index) ? 1 : 0, true);
    view.setInt32(from + 8, 0, true);
    args.forEach((argument, place) => {
      const to = from + 16 + place * 4;
      if ('float' in argument) view.setFloat32(to, argument.float, true);
      else view.setUint32(to, wordOf(argument, addresses), true);
    });
  });
}

function wordOf(argument: Exclude<Argument, { float: number }>, addresses: Addresses): number {
  if ('buffer' in argument) return addresses.buffer(argument.buffer.id);
  if ('weight' in argument) return addresses.weight(argument.weight);
  if ('layer' in argument) return addresses.layer(argument.layer);
  return argument.int;
}

/** Zeroes the counters from which threads take pieces, for the next run. */
export function resetCounters(memory: WebAssembly.Memory, at: number, count: number): void {
  const words = new Int32Array(memory.buffer, at, count * OPERATION_WORDS);
  for (let word = 2; word < words.length; word += OPERATION_WORDS) words[word] = 0;
}
