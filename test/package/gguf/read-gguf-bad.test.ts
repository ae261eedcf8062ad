import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIsthmusError } from '../../../src/errors.ts';
import { llamaConfig } from '../../../src/package/gguf/architecture.ts';
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
import { llamaFile } from '../../fixtures/gguf-llama.ts';

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

/** A source that says what was asked of it: no read may be longer than the file or outside of it. */
function watched(bytes: Uint8Array): { source: ByteSource; asked: () => number } {
  let asked = 0;
  return {
    source: {
      size: bytes.length,
      read: async (offset, length) => {
        if (offset < 0 || length < 0 || offset + length > bytes.length)
          throw new RangeError('read outside the file');
        asked += length;
        return bytes.slice(offset, offset + length);
      },
    },
    asked: () => asked,
  };
}

const CODES = ['bad-model', 'unsupported-model', 'limit-exceeded'];

/** Reads as far as an importer does before it wants weights; throws for any other failure than a named one. */
async function survives(bytes: Uint8Array): Promise<string> {
  const { source, asked } = watched(bytes);
  try {
    llamaConfig(await readGgufHeader(source));
    return 'read';
  } catch (error) {
    if (!isIsthmusError(error) || !CODES.includes(error.code)) throw error;
    return error.code;
  } finally {
    // Nothing is fetched over and over.
    expect(asked()).toBeLessThanOrEqual(2 * bytes.length);
  }
}

describe('any damage to a header', async () => {
  const config = {
    layers: 1,
    heads: 2,
    kvHeads: 1,
    headDim: 4,
    ropeDim: 4,
    hidden: 8,
    ffn: 8,
    vocabulary: 8,
  };
  const metadata = [
    ['tokenizer.ggml.tokens', ['array', ['a', 'b', '<|end|>'].map((one): Entry => ['string', one])]],
    ['tokenizer.ggml.scores', ['array', [0, 1, 2].map((one): Entry => ['f32', one])]],
    ['general.alignment', ['u32', 32]],
  ] as const;
  const { bytes } = await llamaFile('qwen2', { config, metadata });
  const { tensors } = await readGgufHeader(bytesSource(bytes));
  const header = Math.min(...[...tensors.values()].map(({ offset }) => offset));

  it('is read when there is none', async () => {
    expect(await survives(bytes)).toBe('read');
  });

  it('every shorter file is refused', async () => {
    for (let length = 0; length < header; length += 1) {
      expect(await survives(bytes.subarray(0, length))).toBe('bad-model');
    }
    expect(await survives(bytes.subarray(0, bytes.length - 1))).toBe('bad-model');
  });

  it('every byte set to each extreme ends in a named error, or in a header that can be read', async () => {
    const outcomes = new Set<string>();
    for (let at = 0; at < header; at += 1) {
      for (const value of [0x00, 0x7f, 0x80, 0xff]) {
        const damaged = bytes.slice();
        damaged[at] = value;
        outcomes.add(await survives(damaged));
      }
    }
    expect(outcomes).toEqual(new Set(['read', ...CODES]));
  });

  it('so does any handful of bytes changed, put in or taken out', async () => {
    const place = fc.nat({ max: header - 1 });
    const damage = fc.array(fc.tuple(place, fc.uint8Array({ maxLength: 9 }), fc.nat({ max: 9 })), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        let damaged = bytes;
        for (const [at, put, taken] of changes) {
          damaged = joined([damaged.subarray(0, at), put, damaged.subarray(at + taken)]);
        }
        await survives(damaged);
      }),
      { numRuns: 500 },
    );
  });
});
