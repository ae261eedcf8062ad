/** Files that are no models, or broken ones: each fails with its code, none crashes or hangs. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ErrorCode, IsthmusError } from '../../src/errors.ts';
import { readModel } from '../../src/graph/onnx-read.ts';
import type { OnnxModel, OnnxTensor } from '../../src/graph/onnx-types.ts';
import { writeModel } from '../../src/graph/onnx-write.ts';
import { importModel } from '../../src/package/import/import-model.ts';
import { readOnnxFile } from '../../src/package/node/read-onnx.ts';
import { nodeProber } from '../../src/runtime/node/ort-node.ts';
import { model, node, randomWeight, value } from '../fixtures/onnx-build.ts';
import { tinyEncoderDecoder, tinyLoopGraph, tinyOnce } from '../fixtures/tiny-models.ts';

const tools = {
  probe: nodeProber,
  hash: async (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex'),
};
const importOne = (source: OnnxModel) =>
  importModel([{ name: 'model', model: source }], { name: 'n' }, tools);

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'isthmus-bad-'));
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

/** The code with which reading fails, `undefined` when it does not; any other throw fails the test. */
function codeOf(read: () => unknown): ErrorCode | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof IsthmusError) return error.code;
    throw error;
  }
}

const READ_CODES: readonly (ErrorCode | undefined)[] = ['bad-model', 'unsupported-model', 'limit-exceeded'];

describe('bytes that are no model', () => {
  const whole = writeModel(tinyEncoderDecoder().decoder);

  it('cut off at any length are refused', () => {
    fc.assert(
      fc.property(fc.nat(whole.byteLength - 1), (length) => {
        expect(codeOf(() => readModel(whole.subarray(0, length)))).toBe('bad-model');
      }),
      { numRuns: 2000 },
    );
  });

  it('with any bytes changed are read or refused, never worse', () => {
    let refused = 0;
    const change = fc.tuple(fc.nat(whole.byteLength - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = whole.slice();
        for (const [at, byte] of changes) bytes[at] = byte;
        const code = codeOf(() => readModel(bytes));
        expect([...READ_CODES, undefined]).toContain(code);
        if (code !== undefined) refused += 1;
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(0);
  });

  it('made up at random are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(READ_CODES).toContain(codeOf(() => readModel(bytes)));
      }),
      { numRuns: 2000 },
    );
  });

  it('nested without end are refused', () => {
    // A graph in an attribute in a node in a graph, each inside the next.
    let inner: Uint8Array = Uint8Array.of();
    const wrap = (field: number, bytes: Uint8Array): Uint8Array => {
      const length: number[] = [];
      for (let rest = bytes.byteLength; ; rest >>>= 7) {
        length.push(rest > 127 ? (rest & 127) | 128 : rest);
        if (rest <= 127) break;
      }
      return Uint8Array.of((field << 3) | 2, ...length, ...bytes);
    };
    for (let depth = 0; depth < 400; depth += 1) inner = wrap(1, wrap(5, wrap(6, inner)));
    expect(codeOf(() => readModel(Uint8Array.of(8, 8, ...wrap(7, inner))))).toBe('bad-model');
  });

  it.each([
    ['empty', new Uint8Array(0)],
    ['a wav file', new TextEncoder().encode('RIFF\u0024\u0000\u0000\u0000WAVEfmt ')],
    ['JSON', new TextEncoder().encode('{"model": "onnx", "ir_version": 8}')],
    ['a zip', Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0, 0, 0, 8, 0)],
    ['zeros', new Uint8Array(1000)],
    ['GGUF', new TextEncoder().encode('GGUF\u0003\u0000\u0000\u0000')],
  ])('such as %s are refused by their file name', async (name, bytes) => {
    const path = join(dir, `${name}.onnx`);
    await writeFile(path, bytes);
    const failure = readOnnxFile(path);
    await expect(failure).rejects.toMatchObject({ code: 'bad-model' });
    await expect(failure).rejects.toThrow(path);
  });

  it('that are not there, or a folder, are refused', async () => {
    await expect(readOnnxFile(join(dir, 'nothing.onnx'))).rejects.toMatchObject({ code: 'bad-model' });
    await expect(readOnnxFile(dir)).rejects.toMatchObject({ code: 'bad-model' });
  });
});

describe('external data', () => {
  const source = tinyOnce();

  /** The model with all of its weights in one file, and that file's bytes. */
  function externalised(location: string): { file: OnnxModel; data: Uint8Array } {
    const parts: Uint8Array[] = [];
    let offset = 0;
    const initializers = source.graph.initializers.map((tensor): OnnxTensor => {
      const { data = new Uint8Array(0), ...rest } = tensor;
      parts.push(data);
      const external = { location, offset, length: data.byteLength };
      offset += data.byteLength;
      return { ...rest, external };
    });
    return { file: { ...source, graph: { ...source.graph, initializers } }, data: Buffer.concat(parts) };
  }

  async function written(
    name: string,
    location: string,
    data: (whole: Uint8Array) => Uint8Array,
  ): Promise<string> {
    const folder = join(dir, name);
    await mkdir(folder, { recursive: true });
    const { file, data: whole } = externalised(location);
    await writeFile(join(folder, 'model.onnx'), writeModel(file));
    await writeFile(join(folder, 'weights.bin'), data(whole));
    return join(folder, 'model.onnx');
  }

  it('comes back as if it had been inside', async () => {
    const path = await written('whole', 'weights.bin', (whole) => whole);
    const read = await readOnnxFile(path);
    expect(read).toEqual(readModel(writeModel(source)));
    const { manifest } = await importOne(read);
    expect(manifest).toEqual((await importOne(source)).manifest);
  });

  it('is read through symbolic links, as model caches keep it', async () => {
    const path = await written('linked', 'link.bin', (whole) => whole);
    await symlink(join(dir, 'linked', 'weights.bin'), join(dir, 'linked', 'link.bin'));
    expect(await readOnnxFile(path)).toEqual(readModel(writeModel(source)));
  });

  it.each([
    ['missing', 'other.bin', 'missing'],
    ['a folder', '.', 'missing'],
    ['above', '../weights.bin', 'outside'],
    ['above by a detour', 'a/../../weights.bin', 'outside'],
    ['absolute', '/etc/passwd', 'outside'],
  ])('that is %s is refused', async (name, location, said) => {
    const path = await written(`refused ${name}`, location, (whole) => whole);
    await expect(readOnnxFile(path)).rejects.toMatchObject({ code: 'bad-model' });
    await expect(readOnnxFile(path)).rejects.toThrow(said);
  });

  it('that is cut off anywhere is refused', async () => {
    const total = externalised('weights.bin').data.byteLength;
    await fc.assert(
      fc.asyncProperty(fc.nat(total - 1), async (length) => {
        const path = await written('short', 'weights.bin', (whole) => whole.subarray(0, length));
        await expect(readOnnxFile(path)).rejects.toMatchObject({ code: 'bad-model' });
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    ['begins behind the end', { offset: 1e9 }],
    ['begins behind the end and has no length', { offset: 1e9, length: undefined }],
    ['is shorter than its shape', { offset: 0, length: 4 }],
    ['is longer than its shape', { offset: 0, length: 5000 }],
  ])('that %s is refused', async (_, change) => {
    const folder = await mkdtemp(join(dir, 'odd-'));
    const { file, data } = externalised('weights.bin');
    const [first, ...others] = file.graph.initializers;
    if (first?.external === undefined) throw new Error('no external weight');
    const { length: _length, ...place } = { ...first.external, ...change };
    const length = 'length' in change ? change.length : first.external.length;
    const external = length === undefined ? place : { ...place, length };
    const initializers = [{ ...first, external }, ...others];
    await writeFile(
      join(folder, 'model.onnx'),
      writeModel({ ...file, graph: { ...file.graph, initializers } }),
    );
    await writeFile(join(folder, 'weights.bin'), data);
    await expect(readOnnxFile(join(folder, 'model.onnx'))).rejects.toMatchObject({ code: 'bad-model' });
  });

  it('is read inside of branches too', async () => {
    const folder = await mkdtemp(join(dir, 'branch-'));
    const loop = tinyLoopGraph();
    const [outer] = loop.graph.nodes;
    const weight = loop.graph.initializers.find((tensor) => tensor.name === 'loop.weight');
    if (outer === undefined || weight?.data === undefined) throw new Error('the loop has changed');
    const { data, ...rest } = weight;
    const moved: OnnxTensor = {
      ...rest,
      external: { location: 'w.bin', offset: 0, length: data.byteLength },
    };
    const attributes = outer.attributes.map((attribute) => ({
      ...attribute,
      graphs: attribute.graphs.map(({ field, graph }) => ({
        field,
        graph: { ...graph, initializers: [moved] },
      })),
    }));
    const initializers = loop.graph.initializers.filter((tensor) => tensor !== weight);
    const file = { ...loop, graph: { ...loop.graph, initializers, nodes: [{ ...outer, attributes }] } };
    await writeFile(join(folder, 'model.onnx'), writeModel(file));
    await writeFile(join(folder, 'w.bin'), data);
    const read = await readOnnxFile(join(folder, 'model.onnx'));
    expect(read.graph.nodes[0]?.attributes[0]?.graphs[0]?.graph.initializers[0]?.data).toEqual(
      new Uint8Array(data),
    );
    expect(await readFile(join(folder, 'w.bin'))).toEqual(Buffer.from(data));
  });
});

describe('graphs that contradict themselves', () => {
  const x = value('x', 'float32', [1, 'rows', 4]);
  const y = value('y', 'float32', [1, 'rows', 4]);

  it.each<[string, Partial<OnnxModel['graph']>]>([
    [
      'a cycle',
      { nodes: [node('Add', ['x', 'b'], ['a']), node('Relu', ['a'], ['b']), node('Relu', ['b'], ['y'])] },
    ],
    ['two producers of one value', { nodes: [node('Relu', ['x'], ['y']), node('Tanh', ['x'], ['y'])] }],
    ['a node that makes an input', { nodes: [node('Relu', ['x'], ['y']), node('Tanh', ['y'], ['x'])] }],
    [
      'a node that makes a weight',
      {
        nodes: [node('Relu', ['x'], ['w']), node('Add', ['x', 'w'], ['y'])],
        initializers: [randomWeight('w', [4], 1)],
      },
    ],
    ['a value from nowhere', { nodes: [node('Add', ['x', 'nothing'], ['y'])] }],
    ['an output that nothing makes', { nodes: [] }],
  ])('%s: bad-model', async (_, graph) => {
    await expect(importOne(model({ inputs: [x], outputs: [y], ...graph }))).rejects.toMatchObject({
      code: 'bad-model',
    });
  });

  it('an operator that no runtime knows: unsupported-model, with the reason', async () => {
    const strange = model({ inputs: [x], outputs: [y], nodes: [node('Frobnicate', ['x'], ['y'])] });
    await expect(importOne(strange)).rejects.toMatchObject({ code: 'unsupported-model' });
  });

  it('two encoders: unsupported-model', async () => {
    const sources = ['a', 'b'].map((name) => ({ name, model: tinyOnce() }));
    await expect(importModel(sources, { name: 'n' }, tools)).rejects.toMatchObject({
      code: 'unsupported-model',
    });
    await expect(importModel([], { name: 'n' }, tools)).rejects.toMatchObject({ code: 'unsupported-model' });
  });

  it('a decoder without its encoder: unsupported-model, and what to give', async () => {
    await expect(importOne(tinyEncoderDecoder().decoder)).rejects.toMatchObject({
      code: 'unsupported-model',
      details: { hint: 'give the encoder file too' },
    });
  });
});
