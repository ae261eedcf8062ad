import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModel } from '../../src/graph/onnx-read.ts';
import type { OnnxModel } from '../../src/graph/onnx-types.ts';
import { writeModel } from '../../src/graph/onnx-write.ts';
import { type FetchedModel, fetchModel } from '../fixtures/models.ts';
import { intAttribute, intsAttribute, model, node, randomWeight, value } from '../fixtures/onnx-build.ts';
import { tinyEncoderDecoder, tinyLoopGraph } from '../fixtures/tiny-models.ts';

/** A field of number 200 with a length and three bytes: nothing that ONNX has today. */
const UNKNOWN = Uint8Array.of(0xc2, 0x0c, 3, 1, 2, 3);

describe('writing what was read', () => {
  let real: FetchedModel;

  beforeAll(async () => {
    real = await fetchModel('moonshine-tiny-q8', { log: console.info });
  });

  it.each(['encoder', 'decoder'] as const)('loses nothing of a real %s', async (part) => {
    const once = readModel(Uint8Array.from(await readFile(real[part])));
    const written = writeModel(once);
    // Not `toEqual`: it lists every byte of every weight as a property.
    expect(isDeepStrictEqual(readModel(written), once)).toBe(true);
    // Written a second time it is the same bytes: the form is settled.
    expect(Buffer.compare(writeModel(readModel(written)), written)).toBe(0);
  });

  it('gives a model that computes the same', async () => {
    const bytes = await readFile(real.encoder);
    const samples = Float32Array.from({ length: 8000 }, (_, index) => 0.3 * Math.sin(index * index * 1e-4));
    const outputs: Float32Array[] = [];
    for (const file of [bytes, writeModel(readModel(bytes))]) {
      const session = await InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 4 });
      const result = await session.run({ input_values: new Tensor('float32', samples, [1, samples.length]) });
      const [output] = Object.values(result);
      if (!(output?.data instanceof Float32Array)) throw new Error('no floats');
      outputs.push(output.data.slice());
      await session.release();
    }
    expect(outputs[0]?.length).toBeGreaterThan(1000);
    expect(isDeepStrictEqual(outputs[1], outputs[0])).toBe(true);
  });

  it('keeps fields that it does not know, in models, nodes, attributes and weights', () => {
    const tensor = { ...randomWeight('w', [2, 2], 1), rest: [UNKNOWN] };
    const axis = intAttribute('axis', -1);
    const made: OnnxModel = {
      ...model({
        nodes: [
          {
            ...node('Softmax', ['x'], ['y'], [{ ...axis, rest: [...axis.rest, UNKNOWN] }]),
            rest: [UNKNOWN],
          },
        ],
        initializers: [tensor],
        inputs: [value('x', 'float32', [1, 'rows', 2])],
        outputs: [value('y', 'float32', [1, 'rows', 2])],
      }),
      rest: [UNKNOWN],
    };
    const again = readModel(writeModel(made));
    expect(again.rest).toEqual([UNKNOWN]);
    expect(again.graph.nodes[0]?.rest).toEqual([UNKNOWN]);
    expect(again.graph.nodes[0]?.attributes[0]).toMatchObject({ int: -1n, rest: [...axis.rest, UNKNOWN] });
    expect(again.graph.initializers[0]?.rest).toEqual([UNKNOWN]);
  });

  it.each([
    ['an encoder', () => tinyEncoderDecoder().encoder],
    ['a decoder', () => tinyEncoderDecoder().decoder],
    ['a graph in a graph', tinyLoopGraph],
  ])('keeps %s as it is', (_, make) => {
    const once = readModel(writeModel(make()));
    expect(readModel(writeModel(once))).toEqual(once);
    const types = (read: OnnxModel) =>
      read.graph.nodes.map(({ opType, inputs, outputs }) => ({ opType, inputs, outputs }));
    expect(types(once)).toEqual(types(make()));
    expect(once.graph.initializers.map(({ data }) => data?.byteLength)).toEqual(
      make().graph.initializers.map(({ data }) => data?.byteLength),
    );
  });

  it('keeps integers of 64 bits and any names', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.array(fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
        fc.string({ unit: 'binary', minLength: 1 }),
        (int, ints, name) => {
          const attribute = { ...intAttribute('a', 0), int };
          const made = model({ nodes: [node('Op', [name], ['y'], [attribute, intsAttribute('b', ints)])] });
          const [read] = readModel(writeModel(made)).graph.nodes;
          expect(read?.inputs).toEqual([name]);
          expect(read?.attributes[0]?.int).toBe(int);
          expect(read?.attributes[1]?.ints).toEqual(ints.map(BigInt));
        },
      ),
    );
  });
});
