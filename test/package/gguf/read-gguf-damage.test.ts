import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIsthmusError } from '../../../src/errors.ts';
import { llamaConfig } from '../../../src/package/gguf/architecture.ts';
import { type ByteSource, bytesSource } from '../../../src/package/gguf/byte-source.ts';
import { readGgufHeader } from '../../../src/package/gguf/read-gguf.ts';
import { type Entry, joined } from '../../fixtures/gguf-build.ts';
import { llamaFile } from '../../fixtures/gguf-llama.ts';

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
