/** The words between JavaScript and the kernels, as `kernels/index.ts` and `kernels/sync.ts` read them. */
import { describe, expect, it } from 'vitest';
import { KIND, type Operation } from '../../../src/runtime/rows/program.ts';
import {
  EPOCH_BYTE,
  OPERATION_BYTES,
  RUN_BLOCK_BYTES,
  resetCounters,
  writeOperations,
  writeRunBlock,
} from '../../../src/runtime/rows/run-block.ts';

const FLOATS = { as: 'floats', factor: 1 } as const;
const tensor = { name: 'w', dataType: 1, dims: [4], rest: [] };

describe('the run block', () => {
  it('has each number in its word and leaves the words of threads alone', () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const words = new Uint32Array(memory.buffer, 128, RUN_BLOCK_BYTES / 4);
    words.fill(77);
    const lists = { tokens: 5, picked: 6, tables: 7, tableBytes: 8, scores: 9, scoresBytes: 10 };
    writeRunBlock(memory, 128, {
      threads: 2,
      rows: 3,
      position: 4,
      ...lists,
      program: 2 ** 31 + 4,
      count: 12,
      scoresStride: 14,
    });
    expect([...words]).toEqual([77, 77, 2, 3, 4, 5, 6, 7, 8, 9, 10, 2 ** 31 + 4, 12, 77, 14, 77]);
    expect(EPOCH_BYTE / 4).toBe(13);
  });
});

describe('operations', () => {
  const list: Operation[] = [
    {
      kind: 'norm',
      args: [{ buffer: { id: 3, rowBytes: 4 } }, { weight: { tensor, form: FLOATS } }, { float: 0.1 }],
    },
    { kind: 'attend', args: [{ layer: 'key' }, { int: -2 }] },
  ];
  const addresses = {
    buffer: (id: number) => 100 + id,
    // Beyond what a signed number holds.
    weight: () => 2 ** 32 - 64,
    layer: (name: string) => name.length,
  };

  it('are written with what their arguments stand for', () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    new Uint8Array(memory.buffer).fill(255);
    writeOperations(memory, 64, list, addresses, (index) => index === 1);
    const words = new Uint32Array(memory.buffer, 64, (2 * OPERATION_BYTES) / 4);
    expect([...words.subarray(0, 3)]).toEqual([KIND.norm, 0, 0]);
    expect([...words.subarray(4, 6)]).toEqual([103, 2 ** 32 - 64]);
    expect(new Float32Array(memory.buffer, 64, 16)[6]).toBe(Math.fround(0.1));
    expect([...words.subarray(16, 19)]).toEqual([KIND.attend, 1, 0]);
    expect([...new Int32Array(memory.buffer, 128, 16).subarray(4, 6)]).toEqual([3, -2]);
    expect(new Uint8Array(memory.buffer)[63]).toBe(255);
    expect(new Uint8Array(memory.buffer)[64 + 2 * OPERATION_BYTES]).toBe(255);
  });

  it('begin each run with counters at zero, and nothing else changed', () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const words = new Int32Array(memory.buffer, 64, 48);
    words.fill(9);
    resetCounters(memory, 64, 2);
    const zeros = [...words].flatMap((word, index) => (word === 0 ? [index] : []));
    expect(zeros).toEqual([2, 18]);
  });
});

it('numbers each kind once', () => {
  const numbers = Object.values(KIND);
  expect(new Set(numbers).size).toBe(numbers.length);
});
