import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dequantiseRows } from '../../../src/package/gguf/dequantise.ts';
import { halfTable } from '../../../src/package/gguf/half-table.ts';
import { TENSOR_TYPES, type TensorType } from '../../../src/package/gguf/tensor-types.ts';
import { slowElement } from './slow-dequantise.ts';

const TYPES = Object.keys(TENSOR_TYPES) as TensorType[];

/** Where the float16 scales of a block stand. */
const SCALES: Readonly<Partial<Record<TensorType, readonly number[]>>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
};

/** Any bytes, with scales that are finite: an infinite one times zero would compare as NaN. */
function blocks(type: TensorType): fc.Arbitrary<Uint8Array> {
  const { bytes } = TENSOR_TYPES[type];
  const block = fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw) => {
    for (const at of SCALES[type] ?? []) raw[at + 1] = (raw[at + 1] as number) & 0xbf;
    return raw;
  });
  return fc.array(block, { minLength: 1, maxLength: 3 }).map((all) => new Uint8Array(Buffer.concat(all)));
}

describe('dequantiseRows', () => {
  it.each(TYPES)('%s: any block is what its layout says, element by element', (type) => {
    const { bytes, elements } = TENSOR_TYPES[type];
    fc.assert(
      fc.property(blocks(type), (raw) => {
        const count = (raw.length / bytes) * elements;
        const expected = Float32Array.from({ length: count }, (_, index) => slowElement(type, raw, index));
        expect(dequantiseRows(type, raw, count)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  it.each(TYPES)('%s: takes bytes at any alignment', (type) => {
    const { bytes, elements } = TENSOR_TYPES[type];
    const raw = Uint8Array.from({ length: bytes + 1 }, (_, index) => (index * 37) & 0x3f);
    const shifted = dequantiseRows(type, raw.subarray(1), elements);
    expect(shifted).toEqual(dequantiseRows(type, raw.slice(1), elements));
  });

  it.each(TYPES)('%s: refuses bytes of another length', (type) => {
    const { bytes, elements } = TENSOR_TYPES[type];
    for (const length of [0, bytes - 1, bytes + 1, 2 * bytes]) {
      expect(() => dequantiseRows(type, new Uint8Array(length), elements)).toThrow(
        expect.objectContaining({ code: 'bad-model' }),
      );
    }
  });

  // From the layouts of ggml-common.h by hand: 0x3c00 is 1, 0x4000 is 2, 0x3800 is 0.5 in float16.
  it('Q4_0 by hand', () => {
    const raw = Uint8Array.of(0x00, 0x40, 0x0f, 0xf0, ...new Array<number>(14).fill(0x88));
    const values = dequantiseRows('Q4_0', raw, 32);
    expect([values[0], values[16], values[1], values[17], values[2], values[18]]).toEqual([
      14, -16, -16, 14, 0, 0,
    ]);
  });

  it('Q5_1 by hand', () => {
    const raw = new Uint8Array(24);
    // d 1, m 0.5; fifth bits of elements 0 and 31; nibbles of elements 0 and 16 are 3 and 2.
    raw.set([0x00, 0x3c, 0x00, 0x38, 0x01, 0x00, 0x00, 0x80, 0x23]);
    const values = dequantiseRows('Q5_1', raw, 32);
    expect([values[0], values[16], values[31], values[1]]).toEqual([19.5, 2.5, 16.5, 0.5]);
  });

  it('Q4_K by hand: scales of the upper groups are put together from two places', () => {
    const raw = new Uint8Array(144);
    // d 1, dmin 1. Group 0: scale 5, minimum 3. Group 4: scale 0b11_0001, minimum 0b10_1010.
    raw.set([0x00, 0x3c, 0x00, 0x3c, 0b11_000101, 0, 0, 0, 0b10_000011, 0, 0, 0, 0b1010_0001]);
    raw.fill(0x11, 16);
    const values = dequantiseRows('Q4_K', raw, 256);
    expect([values[0], values[32], values[128]]).toEqual([5 - 3, 0, 49 - 42]);
  });

  it('Q6_K by hand: signed scales of 16 elements each', () => {
    const raw = new Uint8Array(210);
    raw[0] = 0x0f; // Element 0 low bits 15, element 64 low bits 0.
    raw[128] = 0b01_00_00_11; // Element 0 upper bits 3, element 96 upper bits 1.
    raw.fill(1, 192, 208);
    raw[192] = 0xfe; // -2
    raw.set([0x00, 0x3c], 208);
    const values = dequantiseRows('Q6_K', raw, 256);
    expect([values[0], values[1], values[16], values[64], values[96]]).toEqual([
      -2 * (63 - 32),
      -2 * -32,
      -32,
      -32,
      16 - 32,
    ]);
  });

  it('BF16 and F16 keep zeros, infinities and NaN', () => {
    const bf16 = Uint8Array.of(0x00, 0x80, 0x80, 0x7f, 0xc0, 0x7f, 0x80, 0x3f);
    expect([...dequantiseRows('BF16', bf16, 4)]).toEqual([-0, Number.POSITIVE_INFINITY, Number.NaN, 1]);
    const f16 = Uint8Array.of(0x00, 0x80, 0x00, 0xfc, 0x01, 0x7c, 0x01, 0x00);
    expect([...dequantiseRows('F16', f16, 4)]).toEqual([-0, Number.NEGATIVE_INFINITY, Number.NaN, 2 ** -24]);
  });
});

describe('the table of halves', () => {
  it('rises with the pattern and mirrors its sign', () => {
    const table = halfTable();
    const positive = table.subarray(0, 0x7c01);
    expect(positive.every((value, bits) => bits === 0 || value > (positive[bits - 1] as number))).toBe(true);
    expect(positive.every((value, bits) => table[bits + 0x8000] === -value)).toBe(true);
    expect([table[0x3c00], table[0x0400], table[0x7bff]]).toEqual([1, 2 ** -14, 65504]);
  });
});
