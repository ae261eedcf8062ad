import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource } from '../../../src/package/gguf/byte-source.ts';
import { readGgufHeader } from '../../../src/package/gguf/read-gguf.ts';
import {
  type Entry,
  float32Bytes,
  type GgufToWrite,
  ggufBytes,
  joined,
  type TensorToWrite,
  text,
  u32,
  u64,
} from '../../fixtures/gguf-build.ts';

const read = (file: GgufToWrite) => readGgufHeader(bytesSource(ggufBytes(file)));

const tensor = (more: Partial<TensorToWrite> = {}): TensorToWrite => {
  return { name: 't', dims: [2, 4], type: 0, bytes: float32Bytes(new Float32Array(8)), ...more };
};

const head = (tensors: bigint | number, entries: bigint | number) =>
  joined([new TextEncoder().encode('GGUF'), u32(3), u64(tensors), u64(entries)]);

const readBytes = (parts: readonly Uint8Array[]) => readGgufHeader(bytesSource(joined(parts)));

describe('a broken GGUF', () => {
  it.each([
    ['nothing', new Uint8Array()],
    ['another format', new TextEncoder().encode('PK\u0003\u0004 and something behind it')],
    ['a magic alone', new TextEncoder().encode('GGUF')],
  ])('%s', async (_, bytes) => {
    await expect(readGgufHeader(bytesSource(bytes))).rejects.toMatchObject({ code: 'bad-model' });
  });

  it.each([
    ['2^60 tensors', [head(2n ** 60n, 0), new Uint8Array(100)], 'bad-model'],
    ['2^64 - 1 entries', [head(0, 2n ** 64n - 1n), new Uint8Array(100)], 'bad-model'],
    ['more tensors than the file has bytes', [head(100, 0), new Uint8Array(100)], 'bad-model'],
    ['more tensors than any model', [head(70_000, 0), new Uint8Array(70_000 * 32)], 'limit-exceeded'],
    ['more entries than any model', [head(0, 5000), new Uint8Array(5000 * 13)], 'limit-exceeded'],
    ['a key of 2^62 bytes', [head(0, 1), u64(2n ** 62n), new Uint8Array(20)], 'bad-model'],
    ['a key of 2000 bytes', [head(0, 1), u64(2000), new Uint8Array(2020)], 'limit-exceeded'],
    ['an unknown type', [head(0, 1), text('k'), u32(13), new Uint8Array(20)], 'bad-model'],
    [
      'an array of unknown type',
      [head(0, 1), text('k'), u32(9), u32(99), u64(1), new Uint8Array(20)],
      'bad-model',
    ],
    ['an array of 2^40', [head(0, 1), text('k'), u32(9), u32(0), u64(2n ** 40n)], 'bad-model'],
    [
      'an array of 5 million',
      [head(0, 1), text('k'), u32(9), u32(0), u64(5_000_000), new Uint8Array(5_000_000)],
      'limit-exceeded',
    ],
    [
      'arrays in arrays in arrays',
      [
        head(0, 1),
        text('k'),
        u32(9),
        ...Array.from({ length: 9 }, () => [u32(9), u64(1)]).flat(),
        new Uint8Array(20),
      ],
      'limit-exceeded',
    ],
    [
      'a string that is not UTF-8',
      [head(0, 1), text('k'), u32(8), u64(2), Uint8Array.of(0xc3, 0x28)],
      'bad-model',
    ],
    ['no dimensions', [head(1, 0), text('t'), u32(0), u32(0), u64(0), new Uint8Array(64)], 'bad-model'],
    ['five dimensions', [head(1, 0), text('t'), u32(5), new Uint8Array(100)], 'bad-model'],
  ] as const)('%s', async (_, parts, code) => {
    await expect(readBytes(parts)).rejects.toMatchObject({ code });
  });

  it('a header that is longer than any', async () => {
    const size = 65 * 2 ** 20;
    const source: ByteSource = {
      size,
      read: async (offset, length) => {
        const start = joined([head(0, 1), text('k'), u32(8), u64(size - 100)]);
        const bytes = new Uint8Array(length);
        if (offset === 0) bytes.set(start);
        return bytes;
      },
    };
    await expect(readGgufHeader(source)).rejects.toMatchObject({ code: 'limit-exceeded' });
  });

  it.each<[string, Partial<TensorToWrite>[]]>([
    ['beyond the end', [{ bytes: new Uint8Array(31) }]],
    ['at an offset beyond the end', [{ dims: [1], offset: 2 ** 40, bytes: new Uint8Array() }]],
    ['of no elements', [{ dims: [0, 4] }]],
    ['of more elements than can be counted', [{ dims: [2 ** 40, 2 ** 40] }]],
    ['at an odd offset', [{ offset: 4 }]],
    ['twice', [{}, {}]],
    [
      'over another',
      [
        { name: 'a', offset: 32 },
        { name: 'b', dims: [1, 16], bytes: new Uint8Array(64), offset: 0 },
      ],
    ],
    ['with half a block in a row', [{ type: 2, dims: [2, 48], bytes: new Uint8Array(54) }]],
  ])('a tensor %s', async (_, tensors) => {
    await expect(read({ tensors: tensors.map(tensor) })).rejects.toMatchObject({
      code: 'bad-model',
    });
  });

  it.each<[string, (readonly [string, Entry])[]]>([
    [
      'a key twice',
      [
        ['k', ['u32', 1]],
        ['k', ['u32', 2]],
      ],
    ],
    ['an alignment of zero', [['general.alignment', ['u32', 0]]]],
    ['an alignment of three', [['general.alignment', ['u32', 3]]]],
    ['an alignment of a gigabyte', [['general.alignment', ['u32', 2 ** 30]]]],
    ['an alignment that is text', [['general.alignment', ['string', '32']]]],
  ])('%s', async (_, metadata) => {
    await expect(read({ metadata })).rejects.toMatchObject({ code: 'bad-model' });
  });

  it('that grows shorter while it is read', async () => {
    const bytes = ggufBytes({ tensors: [tensor()] });
    const source = {
      size: bytes.length,
      read: async (offset: number, length: number) => bytes.subarray(offset, offset + length - 1),
    };
    await expect(readGgufHeader(source)).rejects.toMatchObject({ code: 'bad-model' });
  });
});

describe('a GGUF that is not supported', () => {
  it.each([
    [16, 'IQ2_XXS'],
    [10, 'Q2_K'],
    [99, 'number 99'],
  ])('type %d is named, whatever the length of the file', async (type, name) => {
    const failed = read({ tensors: [tensor(), tensor({ name: 'odd', type, bytes: new Uint8Array() })] });
    await expect(failed).rejects.toMatchObject({
      code: 'unsupported-model',
      details: { types: [name], tensor: 'odd' },
    });
    await expect(failed).rejects.toThrow(name);
  });

  it.each([1, 4, 0x03000000])('version %d', async (version) => {
    await expect(read({ version })).rejects.toMatchObject({
      code: 'unsupported-model',
      details: { version },
    });
  });

  it('a part of a split file', async () => {
    await expect(read({ metadata: [['split.count', ['u16', 3]]] })).rejects.toMatchObject({
      code: 'unsupported-model',
    });
    await expect(read({ metadata: [['split.count', ['u16', 1]]] })).resolves.toBeDefined();
  });
});
