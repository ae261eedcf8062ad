import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/tensor.ts';
import { asFloat32, DTYPE_BYTES, float32Tensor, int64Tensor, makeTensor } from '../../src/core/tensor.ts';
import { type OutgoingTensor, readTensors, writeTensors } from '../../src/protocol/oip.ts';
import { dataOfTensor, datatypeOf, dtypeOf, tensorFromData } from '../../src/protocol/oip-data.ts';
import { tensors } from './arbitraries.ts';
import { failureOf } from './failure.ts';

const NONE = new Uint8Array(0);
const DTYPES = Object.keys(DTYPE_BYTES) as DType[];

/** Over JSON, as the header goes. */
function passed(outgoing: readonly OutgoingTensor[]) {
  const { entries, chunks } = writeTensors(outgoing);
  return readTensors(JSON.parse(JSON.stringify(entries)), Buffer.concat(chunks));
}

describe('datatypes', () => {
  test('each dtype has the name that the protocol gives it', () => {
    expect(DTYPES.map(datatypeOf).join(' ')).toBe(
      'FP32 FP16 FP64 INT8 UINT8 INT16 UINT16 INT32 UINT32 INT64 UINT64 BOOL',
    );
    expect(DTYPES.map((dtype) => dtypeOf(datatypeOf(dtype)))).toEqual(DTYPES);
  });

  test.each(['BYTES', 'fp32', 'toString', '', null, undefined, 1, {}])('%j is refused', (datatype) => {
    expect(failureOf(() => dtypeOf(datatype)).code).toBe('bad-tensor');
  });

  test('strings are refused by name', () => {
    expect(failureOf(() => dtypeOf('BYTES')).message).toContain('BYTES');
  });
});

describe('tensors with raw bytes', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(fc.array(tensors, { maxLength: 5 }), (list) => {
        const outgoing = list.map((tensor, i) => ({ name: `t${i}`, tensor }));
        const expected = outgoing.map(({ name, tensor }) => ({ name, ...tensor, bytes: [...tensor.bytes] }));
        const back = passed(outgoing).map(({ name, tensor }) => ({
          name,
          ...tensor,
          bytes: [...tensor.bytes],
        }));
        expect(back).toEqual(expected);
      }),
    );
  });

  test('without a codec are plain entries of the protocol', () => {
    const tensor = int64Tensor([1], [1]);
    expect(writeTensors([{ name: 'x', tensor, codec: 'int8', lossy: true }]).entries).toEqual([
      { name: 'x', datatype: 'INT64', shape: [1], parameters: { binary_data_size: 8 } },
    ]);
  });

  test('are not copied on the way in', () => {
    const raw = Uint8Array.of(0, 0, 128, 63);
    const entry = { name: 'x', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } };
    const [read] = readTensors([entry], raw);
    expect(read?.tensor.bytes.buffer).toBe(raw.buffer);
  });

  test('may be mixed with tensors in JSON', () => {
    const a = float32Tensor(Float32Array.of(1, 2), [2]);
    const b = int64Tensor([3], [1]);
    const back = passed([
      { name: 'a', tensor: a, json: true },
      { name: 'b', tensor: b },
    ]);
    expect(back.map(({ name, tensor }) => [name, [...tensor.bytes]])).toEqual([
      ['a', [...a.bytes]],
      ['b', [...b.bytes]],
    ]);
  });
});

describe('tensors as JSON data', () => {
  const values: Partial<Record<DType, fc.Arbitrary<number | boolean>>> = {
    float32: fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
    float64: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
    int8: fc.integer({ min: -128, max: 127 }),
    uint8: fc.nat(255),
    int16: fc.integer({ min: -32_768, max: 32_767 }),
    uint16: fc.nat(65_535),
    int32: fc.integer(),
    uint32: fc.nat(2 ** 32 - 1),
    int64: fc.maxSafeInteger(),
    uint64: fc.maxSafeNat(),
    bool: fc.boolean(),
  };

  test.each(Object.entries(values) as [DType, fc.Arbitrary<number | boolean>][])(
    '%s comes back as it was',
    (dtype, value) => {
      fc.assert(
        fc.property(fc.array(value, { maxLength: 6 }), (data) => {
          const tensor = tensorFromData(dtype, [data.length], JSON.parse(JSON.stringify(data)));
          expect(tensor.bytes.byteLength).toBe(data.length * DTYPE_BYTES[dtype]);
          expect(dataOfTensor(tensor)).toEqual(data);
        }),
      );
    },
  );

  test('may be nested as its shape is', () => {
    const tensor = tensorFromData(
      'float32',
      [2, 2],
      [
        [1, 2],
        [3, 4],
      ],
    );
    expect(Array.from(asFloat32(tensor))).toEqual([1, 2, 3, 4]);
  });

  test.each<[string, DType, number[], unknown]>([
    ['no data', 'float32', [1], undefined],
    ['a number', 'float32', [], 1],
    ['too few values', 'float32', [2], [1]],
    ['too many values', 'float32', [1], [1, 2]],
    ['a shape that would be a gigabyte', 'float32', [2 ** 28], [1]],
    ['a shape beyond any memory', 'float32', [2 ** 50], []],
    ['a text', 'float32', [1], ['1']],
    ['null', 'float32', [1], [null]],
    ['a value beyond float32', 'float32', [1], [1e300]],
    ['a fraction', 'int32', [1], [0.5]],
    ['a value beyond int8', 'int8', [1], [128]],
    ['a negative value', 'uint8', [1], [-1]],
    ['a negative wide value', 'uint64', [1], [-1]],
    ['a value beyond the safe integers', 'int64', [1], [2 ** 53]],
    ['a 2 for a bool', 'bool', [1], [2]],
    ['half precision', 'float16', [1], [1]],
    ['deep nesting', 'float32', [1], JSON.parse(`${'['.repeat(50_000)}1${']'.repeat(50_000)}`)],
  ])('%s is refused', (_, dtype, dims, data) => {
    expect(failureOf(() => tensorFromData(dtype, dims, data)).code).toBe('bad-tensor');
  });

  test('a wrong number of values is told in values', () => {
    expect(failureOf(() => tensorFromData('float32', [2], [1])).message).toContain('2 values, not 1');
  });

  test.each([
    ['NaN', float32Tensor(Float32Array.of(Number.NaN), [1])],
    ['an infinity', float32Tensor(Float32Array.of(Number.POSITIVE_INFINITY), [1])],
    ['an integer beyond the safe ones', int64Tensor([2n ** 60n], [1])],
    ['half precision', makeTensor('float16', [1], new Uint8Array(2))],
  ])('%s has no form in JSON', (_, tensor) => {
    expect(failureOf(() => dataOfTensor(tensor)).code).toBe('bad-tensor');
  });

  test('an entry with neither bytes nor data is refused', () => {
    const entry = { name: 'x', datatype: 'FP32', shape: [1] };
    expect(failureOf(() => readTensors([entry], NONE)).code).toBe('bad-tensor');
  });
});
