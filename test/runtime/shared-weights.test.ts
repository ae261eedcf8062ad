import { describe, expect, it } from 'vitest';
import type { OnnxTensor } from '../../src/graph/onnx-types.ts';
import { sharedShards, splitShared } from '../../src/runtime/shared-weights.ts';
import { model, node } from '../fixtures/onnx-build.ts';

const table = (name: string, location = 'shared', length = 2 ** 17): OnnxTensor => ({
  name,
  dataType: 3,
  dims: [2, length / 2],
  external: { location, offset: 64, length },
  rest: [],
});

const shards = new Set(['shared']);
const gather = node('Gather', ['w', 'ids'], ['rows']);
const product = node('MatMulIntegerToFloat', ['x', 'w', 'step', 'scale', 'zero'], ['y']);

describe('weights that several sessions use', () => {
  it('become inputs where the kernels take them as they are', () => {
    const given = model({
      nodes: [gather, product],
      initializers: [table('w'), table('scale'), table('step')],
    });
    const split = splitShared(given, shards);
    expect(split.weights).toEqual(
      ['w', 'scale'].map((name) => ({
        name,
        dtype: 'int8',
        dims: [2, 2 ** 16],
        location: 'shared',
        offset: 64,
      })),
    );
    expect(split.model.graph.initializers.map(({ name }) => name)).toEqual(['step']);
    expect(split.model.graph.inputs.map(({ name }) => name)).toEqual(expect.arrayContaining(['w', 'scale']));
  });

  it.each([
    ['another operator reads them too', { nodes: [gather, node('Mul', ['w', 'x'], ['z'])] }],
    ['they are an output', { nodes: [gather], outputs: [{ name: 'w', elemType: 3 }] }],
    ["their shard is one block's alone", { nodes: [gather], initializers: [table('w', 'own')] }],
    ['they are small', { nodes: [gather], initializers: [table('w', 'shared', 1024)] }],
  ])('stay where they are when %s', (_, parts) => {
    const given = model({ initializers: [table('w')], ...parts });
    expect(splitShared(given, shards)).toEqual({ model: given, weights: [] });
  });

  it('lie in shards that more than one block names', () => {
    const blocks = [['a', 'b'], ['b', 'c', 'c'], ['d']].map((named) => ({ shards: named }));
    expect(sharedShards({ blocks } as unknown as Parameters<typeof sharedShards>[0])).toEqual(new Set(['b']));
  });
});
