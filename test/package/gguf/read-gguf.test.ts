import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GGMLQuantizationType, gguf } from '@huggingface/gguf';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ByteSource, bytesSource } from '../../../src/package/gguf/byte-source.ts';
import type { GgufValue } from '../../../src/package/gguf/metadata.ts';
import { openFileSource } from '../../../src/package/gguf/node/file-source.ts';
import { readGgufHeader } from '../../../src/package/gguf/read-gguf.ts';
import { TENSOR_TYPES, tensorTypeName } from '../../../src/package/gguf/tensor-types.ts';
import { type Entry, float32Bytes, type GgufToWrite, ggufBytes } from '../../fixtures/gguf-build.ts';
import { smollm2 } from '../../fixtures/smollm2.ts';

/** What another reader makes of the same bytes; it wants an address, and gets its ranges from here. */
async function byHuggingFace(bytes: Uint8Array): ReturnType<typeof gguf> {
  const answer: typeof fetch = async (_, init) => {
    const [, from = '0', to = '0'] = /(\d+)-(\d+)/.exec(new Headers(init?.headers).get('range') ?? '') ?? [];
    return new Response(bytes.slice(Number(from), Number(to) + 1));
  };
  return gguf('http://localhost/model.gguf', { fetch: answer });
}

/** Numbers of both readers in one form: ours are plain numbers where that is exact. */
const plain = (value: unknown): unknown =>
  Array.isArray(value) ? value.map(plain) : typeof value === 'bigint' ? Number(value) : value;

const whole = (type: 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32', min: number, max: number) =>
  fc.integer({ min, max }).map((value): Entry => [type, value]);

const scalars: fc.Arbitrary<Entry>[] = [
  whole('u8', 0, 255),
  whole('i8', -128, 127),
  whole('u16', 0, 65535),
  whole('i16', -32768, 32767),
  whole('u32', 0, 2 ** 32 - 1),
  whole('i32', -(2 ** 31), 2 ** 31 - 1),
  fc.float().map((value): Entry => ['f32', value]),
  fc.double().map((value): Entry => ['f64', value]),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value): Entry => ['u64', value]),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value): Entry => ['i64', value]),
  fc.boolean().map((value): Entry => ['bool', value]),
  // The other reader drops a mark at the start of a string.
  fc
    .string({ unit: 'grapheme' })
    .filter((value) => !value.startsWith('\ufeff'))
    .map((value): Entry => ['string', value]),
];

const entry: fc.Arbitrary<Entry> = fc.oneof(
  ...scalars,
  ...scalars.map((one) => fc.array(one, { maxLength: 5 }).map((values): Entry => ['array', values])),
);

const file: fc.Arbitrary<GgufToWrite> = fc.record({
  version: fc.constantFrom(2, 3),
  metadata: fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,8}\.[a-z_]{1,8}$/), entry), {
    selector: ([key]) => key,
    maxLength: 8,
  }),
  tensors: fc
    .uniqueArray(
      fc.record({
        name: fc.stringMatching(/^[a-z0-9.]{1,20}$/),
        dims: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
      }),
      { selector: ({ name }) => name, maxLength: 6 },
    )
    .map((all) =>
      all.map(({ name, dims }) => {
        const values = Float32Array.from(
          { length: dims.reduce((a, b) => a * b, 1) },
          (_, index) => index - 3,
        );
        return { name, dims, type: 0, bytes: float32Bytes(values) };
      }),
    ),
});

describe('readGgufHeader', () => {
  it('agrees with another reader on any header', async () => {
    await fc.assert(
      fc.asyncProperty(file, async (written) => {
        const bytes = ggufBytes(written);
        const ours = await readGgufHeader(bytesSource(bytes));
        const theirs = await byHuggingFace(bytes);
        const {
          version: _,
          tensor_count: __,
          kv_count: ___,
          ...metadata
        } = theirs.metadata as Record<string, GgufValue>;
        expect(plainMap(ours.metadata)).toEqual(plain2(metadata));
        expect([...ours.tensors.values()].map(({ name, dims, offset }) => ({ name, dims, offset }))).toEqual(
          theirs.tensorInfos.map(({ name, shape, offset }) => ({
            name,
            dims: shape.map(Number).reverse(),
            offset: Number(theirs.tensorDataOffset + offset),
          })),
        );
        for (const tensor of written.tensors ?? []) {
          expect(float32Bytes(await ours.readTensor(tensor.name))).toEqual(tensor.bytes);
          expect(await ours.readBytes(tensor.name)).toEqual(tensor.bytes);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('knows the types of tensors by the names that others give them', () => {
    const theirs = Object.entries(GGMLQuantizationType).filter(([, code]) => typeof code === 'number');
    expect(theirs.length).toBeGreaterThan(30);
    for (const [name, code] of theirs) expect(tensorTypeName(Number(code))).toBe(name);
    expect(theirs.map(([name]) => name)).toEqual(expect.arrayContaining(Object.keys(TENSOR_TYPES)));
  });

  it('reads long strings that lie over the pieces in which the header is fetched', async () => {
    const strings = ['a'.repeat(2 ** 20 - 200), '\ufeffb', 'ü'.repeat(700_000), 'last'];
    const values = strings.map((value): Entry => ['string', value]);
    const bytes = ggufBytes({ metadata: [['tokens', ['array', values]]] });
    const { metadata } = await readGgufHeader(bytesSource(bytes));
    expect(metadata.get('tokens')).toEqual(strings);
  });

  it('reads the header alone until a tensor is asked for', async () => {
    const values = new Float32Array(2 ** 20);
    const bytes = ggufBytes({
      tensors: [{ name: 'large', dims: [1024, 1024], type: 0, bytes: float32Bytes(values) }],
    });
    const asked: number[] = [];
    const source: ByteSource = {
      size: bytes.length,
      read: async (offset, length) => {
        asked.push(offset + length);
        return bytes.subarray(offset, offset + length);
      },
    };
    const { readRows } = await readGgufHeader(source);
    expect(Math.max(...asked)).toBeLessThanOrEqual(2 ** 20);
    asked.length = 0;
    await readRows('large', 3, 5);
    expect(asked).toEqual([bytes.length - 1019 * 4096]);
  });

  it('reads single rows of a matrix', async () => {
    const values = Float32Array.from({ length: 12 }, (_, index) => index);
    const source = bytesSource(
      ggufBytes({ tensors: [{ name: 'm', dims: [2, 2, 3], type: 0, bytes: float32Bytes(values) }] }),
    );
    const { readRows } = await readGgufHeader(source);
    expect([...(await readRows('m', 1, 3))]).toEqual([3, 4, 5, 6, 7, 8]);
    expect([...(await readRows('m', 2, 2))]).toEqual([]);
    for (const [from, to] of [
      [-1, 1],
      [2, 1],
      [0, 5],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const) {
      await expect(readRows('m', from, to)).rejects.toMatchObject({ code: 'bad-option' });
    }
    await expect(readRows('n', 0, 1)).rejects.toMatchObject({ code: 'bad-model', details: { tensor: 'n' } });
  });

  it('keeps integers exact that a number cannot hold', async () => {
    const metadata = [
      ['large', ['u64', 2n ** 64n - 1n]],
      ['small', ['i64', -5n]],
      ['edge', ['u64', 2n ** 53n - 1n]],
    ] as const;
    const read = await readGgufHeader(bytesSource(ggufBytes({ metadata })));
    expect([...read.metadata.values()]).toEqual([2n ** 64n - 1n, -5, 2 ** 53 - 1]);
  });

  it('reads a file on the disk, and says when there is none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'isthmus-gguf-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const path = join(folder, 'model.gguf');
    await writeFile(path, ggufBytes({ metadata: [['general.name', ['string', 'x']]] }));
    const source = await openFileSource(path);
    onTestFinished(() => source.close());
    expect((await readGgufHeader(source)).metadata.get('general.name')).toBe('x');
    await expect(openFileSource(join(folder, 'none.gguf'))).rejects.toMatchObject({ code: 'bad-model' });
    await expect(openFileSource(folder)).rejects.toMatchObject({ code: 'bad-model' });
  });
});

const plainMap = (metadata: ReadonlyMap<string, GgufValue>) => plain2(Object.fromEntries(metadata));
const plain2 = (metadata: Record<string, GgufValue>) =>
  Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, plain(value)]));

const model = await smollm2();

describe.skipIf('missing' in model)(`SmolLM2${'missing' in model ? ` (${model.missing})` : ''}`, () => {
  it('is read as another reader reads it', async () => {
    if ('missing' in model) return;
    const source = await openFileSource(model.path);
    onTestFinished(() => source.close());
    const ours = await readGgufHeader(source);
    const theirs = await gguf(model.path, { allowLocalFile: true });
    const {
      version: _,
      tensor_count: __,
      kv_count: ___,
      ...metadata
    } = theirs.metadata as Record<string, GgufValue>;
    expect(plainMap(ours.metadata)).toEqual(plain2(metadata));
    expect([...ours.tensors.values()].map(({ name, type, dims }) => ({ name, type, dims }))).toEqual(
      theirs.tensorInfos.map(({ name, dtype, shape }) => ({
        name,
        type: GGMLQuantizationType[dtype],
        dims: shape.map(Number).reverse(),
      })),
    );
  });
});
