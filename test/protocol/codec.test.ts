import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromPcm16 } from '../../src/core/pcm16.ts';
import { CODECS } from '../../src/core/span.ts';
import { asFloat32, byteLengthOf, float32Tensor, int64Tensor } from '../../src/core/tensor.ts';
import { applicableCodec, decodeTensor, encodedBytes, encodeTensor } from '../../src/protocol/codec.ts';
import { failureOf } from './failure.ts';

const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127;

const matrices = (float: fc.Arbitrary<number>) =>
  fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 2, max: 9 }))
    .chain(([rows, width]) =>
      fc
        .array(float, { minLength: rows * width, maxLength: rows * width })
        .map((values) => ({ rows, width, values: Float32Array.from(values) })),
    );

const finite = fc.float({ noNaN: true, noDefaultInfinity: true });

describe('fp32', () => {
  test('passes the bytes of every dtype as they are', () => {
    const tensor = int64Tensor([1, 2], [2]);
    const encoded = encodeTensor(tensor, 'int8', true);
    expect(encoded.codec).toBe('fp32');
    expect(encoded.bytes).toBe(tensor.bytes);
    expect(decodeTensor('int64', [2], 'fp32', encoded.bytes)).toEqual(tensor);
  });

  test('is what a tensor that is not marked lossy gets', () => {
    const tensor = float32Tensor(Float32Array.of(1, 2), [2]);
    expect(encodeTensor(tensor, 'fp16', false)).toEqual({ codec: 'fp32', bytes: tensor.bytes });
  });
});

describe('fp16', () => {
  test('errs by half a place at most', () => {
    const values = fc.float({ min: -65504, max: 65504, noNaN: true });
    fc.assert(
      fc.property(matrices(values), ({ rows, width, values }) => {
        const encoded = encodeTensor(float32Tensor(values, [rows, width]), 'fp16', true);
        expect(encoded.codec).toBe('fp16');
        const decoded = asFloat32(decodeTensor('float32', [rows, width], 'fp16', encoded.bytes));
        values.forEach((value, i) => {
          const error = Math.abs((decoded[i] ?? Number.NaN) - value);
          expect(error).toBeLessThanOrEqual(Math.max(2 ** -11 * Math.abs(value), 2 ** -25));
        });
      }),
    );
  });

  test('keeps NaN and infinities', () => {
    const values = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0);
    const { codec, bytes } = encodeTensor(float32Tensor(values, [4]), 'fp16', true);
    expect(asFloat32(decodeTensor('float32', [4], codec, bytes))).toEqual(values);
    expect(codec).toBe('fp16');
  });

  test('gives way to fp32 where a finite value would become infinite', () => {
    expect(encodeTensor(float32Tensor(Float32Array.of(1, -65519), [2]), 'fp16', true).codec).toBe('fp16');
    expect(encodeTensor(float32Tensor(Float32Array.of(1, -65520), [2]), 'fp16', true).codec).toBe('fp32');
  });
});

describe('pcm16', () => {
  const recording = fc.int16Array({ minLength: 64 }).map((samples) => fromPcm16(samples));
  const encoded = (values: Float32Array, lossy = false) =>
    encodeTensor(float32Tensor(values, [1, values.length]), 'fp32', lossy, true);

  test('writes a recording in half the bytes, and loses no bit', () => {
    fc.assert(
      fc.property(recording, (values) => {
        const { codec, bytes } = encoded(values);
        expect([codec, bytes.byteLength]).toEqual(['pcm16', 2 * values.length]);
        expect(decodeTensor('float32', [1, values.length], codec, bytes)).toEqual(
          float32Tensor(values, [1, values.length]),
        );
      }),
    );
  });

  test('is only for recordings that are long enough, and for readers that know it', () => {
    const values = fromPcm16(Int16Array.from({ length: 64 }, (_, index) => index - 32));
    expect(encoded(values).codec).toBe('pcm16');
    expect(encoded(values.slice(1)).codec).toBe('fp32');
    expect(encoded(Float32Array.from(values, (value) => value / 3)).codec).toBe('fp32');
    expect(encodeTensor(float32Tensor(values, [64]), 'fp32', false).codec).toBe('fp32');
    // Who wishes for fewer bits gets them.
    expect(encodeTensor(float32Tensor(values, [1, 64]), 'int8', true, true).codec).toBe('int8');
  });

  test('refuses what does not fit', () => {
    expect(failureOf(() => decodeTensor('float32', [3], 'pcm16', new Uint8Array(5))).code).toBe('bad-tensor');
    expect(failureOf(() => decodeTensor('int32', [3], 'pcm16', new Uint8Array(6))).code).toBe('bad-tensor');
  });
});

describe('int8', () => {
  test('has one scale per row in front of the values', () => {
    const tensor = float32Tensor(Float32Array.of(127, -63.5, 0, 0, 254, -254), [2, 3]);
    const { codec, bytes } = encodeTensor(tensor, 'int8', true);
    expect(codec).toBe('int8');
    expect(new Float32Array(bytes.slice(0, 8).buffer)).toEqual(Float32Array.of(1, 2));
    expect(Array.from(new Int8Array(bytes.slice(8).buffer))).toEqual([127, -63, 0, 0, 127, -127]);
  });

  test('errs by half of the scale of the row at most', () => {
    fc.assert(
      fc.property(matrices(finite), ({ rows, width, values }) => {
        const { codec, bytes } = encodeTensor(float32Tensor(values, [rows, width]), 'int8', true);
        expect(codec).toBe('int8');
        const decoded = asFloat32(decodeTensor('float32', [rows, width], codec, bytes));
        for (let row = 0; row < rows; row++) {
          const own = values.subarray(row * width, (row + 1) * width);
          const peak = Math.max(...own.map(Math.abs));
          // Half a step, and the rounding of scale and product to float32; below, the row is zero.
          const bound = Math.max((peak / 127) * (0.5 + 127 * 2 ** -22), 127 * 2 ** -126);
          own.forEach((value, i) => {
            expect(Math.abs((decoded[row * width + i] ?? Number.NaN) - value)).toBeLessThanOrEqual(bound);
          });
        }
      }),
      { numRuns: 300 },
    );
  });

  test.each([FLOAT32_MAX, -FLOAT32_MAX, 2 ** -149, 2 ** -126, 0])('bears a peak of %d', (peak) => {
    const { codec, bytes } = encodeTensor(float32Tensor(Float32Array.of(peak, 0), [1, 2]), 'int8', true);
    const decoded = asFloat32(decodeTensor('float32', [1, 2], codec, bytes));
    expect(codec).toBe('int8');
    expect(decoded.every(Number.isFinite)).toBe(true);
    expect(Math.abs((decoded[0] ?? Number.NaN) - peak)).toBeLessThanOrEqual(
      Math.max(Math.abs(peak) / 250, 127 * 2 ** -126),
    );
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'gives way to fp32 for a tensor with %d in it',
    (value) => {
      const tensor = float32Tensor(Float32Array.of(1, 2, value, 1), [2, 2]);
      expect(encodeTensor(tensor, 'int8', true)).toEqual({ codec: 'fp32', bytes: tensor.bytes });
    },
  );

  test('does not let one row touch another', () => {
    const tensor = float32Tensor(Float32Array.of(1e30, -1e30, 0.25, 1), [2, 2]);
    const { codec, bytes } = encodeTensor(tensor, 'int8', true);
    const decoded = asFloat32(decodeTensor('float32', [2, 2], codec, bytes));
    expect(decoded[2]).toBeCloseTo(0.25, 2);
    expect(decoded[3]).toBe(1);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1])('refuses %d as a scale', (scale) => {
    const bytes = new Uint8Array(6);
    new DataView(bytes.buffer).setFloat32(0, scale, true);
    expect(failureOf(() => decodeTensor('float32', [1, 2], 'int8', bytes)).code).toBe('bad-tensor');
  });
});

describe('sizes', () => {
  const dims = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });

  test('encodedBytes says what encodeTensor writes', () => {
    fc.assert(
      fc.property(dims, fc.constantFrom(...CODECS), fc.boolean(), (dims, codec, lossy) => {
        const count = dims.reduce((product, dim) => product * dim, 1);
        const tensor = float32Tensor(new Float32Array(count).fill(0.5), dims);
        const encoded = encodeTensor(tensor, codec, lossy);
        expect(encoded.bytes.byteLength).toBe(encodedBytes('float32', dims, codec, lossy));
        expect(encoded.codec).toBe(applicableCodec('float32', dims, codec, lossy));
        expect(decodeTensor('float32', dims, encoded.codec, encoded.bytes)).toEqual(tensor);
      }),
    );
  });

  test('no codec makes a tensor larger', () => {
    fc.assert(
      fc.property(dims, fc.constantFrom(...CODECS), (dims, codec) => {
        const plain = byteLengthOf('float32', dims);
        expect(encodedBytes('float32', dims, codec, true)).toBeLessThanOrEqual(plain);
      }),
    );
  });

  test('an empty tensor has no rows, however many it claims', () => {
    expect(encodedBytes('float32', [2 ** 40, 0], 'int8', true)).toBe(0);
    const empty = decodeTensor('float32', [2 ** 40, 0], 'int8', new Uint8Array(0));
    expect(empty.bytes.byteLength).toBe(0);
  });

  test('a scalar is not worth a scale', () => {
    expect(applicableCodec('float32', [], 'int8', true)).toBe('fp32');
    expect(applicableCodec('float32', [7, 1], 'int8', true)).toBe('fp32');
    expect(encodedBytes('float32', [7, 2], 'int8', true)).toBe(7 * 4 + 14);
  });

  test('bytes that do not fit the shape are refused', () => {
    const wrong = (codec: (typeof CODECS)[number], length: number) =>
      failureOf(() => decodeTensor('float32', [2, 3], codec, new Uint8Array(length))).code;
    expect(wrong('fp32', 23)).toBe('bad-tensor');
    expect(wrong('fp16', 13)).toBe('bad-tensor');
    expect(wrong('int8', 15)).toBe('bad-tensor');
    expect(failureOf(() => decodeTensor('int64', [1], 'fp16', new Uint8Array(2))).code).toBe('bad-tensor');
  });

  test('bytes may begin anywhere', () => {
    const tensor = float32Tensor(Float32Array.of(1, -1, 0.5, 0.25), [2, 2]);
    for (const codec of CODECS) {
      const { bytes } = encodeTensor(tensor, codec, true);
      const shifted = new Uint8Array(bytes.byteLength + 1);
      shifted.set(bytes, 1);
      const direct = decodeTensor('float32', [2, 2], codec, bytes);
      const decoded = decodeTensor('float32', [2, 2], codec, shifted.subarray(1));
      expect(asFloat32(decoded)).toEqual(asFloat32(direct));
    }
  });
});
