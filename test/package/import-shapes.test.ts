/** Graphs of many forms: where they are cut, and that all spans together are the whole. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TensorMap } from '../../src/core/tensor.ts';
import { float32Tensor } from '../../src/core/tensor.ts';
import { composeSegment } from '../../src/graph/compose.ts';
import { toModelGraph } from '../../src/graph/model-graph.ts';
import { readModel } from '../../src/graph/onnx-read.ts';
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from '../../src/graph/onnx-types.ts';
import { writeModel } from '../../src/graph/onnx-write.ts';
import { type ImportedPackage, importModel } from '../../src/package/import/import-model.ts';
import { segmentPhase } from '../../src/package/segments.ts';
import { verifyCuts } from '../../src/package/verify.ts';
import { syntheticInputs } from '../../src/package/verify-inputs.ts';
import { argmax } from '../../src/runtime/decode.ts';
import { createNodeRunner, nodeProber } from '../../src/runtime/node/ort-node.ts';
import { createExecutor } from '../../src/runtime/span-executor.ts';
import { graphAttribute, model, node, randomWeight, seeded, value } from '../fixtures/onnx-build.ts';
import { TINY, tinyEmpty, tinyEncoderDecoder, tinyLoopGraph } from '../fixtures/tiny-models.ts';

const tools = {
  probe: nodeProber,
  hash: async (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex'),
};
const importOne = (source: OnnxModel) =>
  importModel([{ name: 'model', model: source }], { name: 'n' }, tools);

async function verify({ manifest, files }: ImportedPackage) {
  const source = {
    read: async (path: string) => {
      const bytes = files.get(path);
      if (bytes === undefined) throw new Error(`no file ${path}`);
      return bytes;
    },
  };
  const runner = createNodeRunner(manifest, source);
  try {
    return await verifyCuts(manifest, syntheticInputs(manifest), {
      executor: (span) => createExecutor(manifest, span, runner),
      unload: async () => undefined,
      argmax,
    });
  } finally {
    await runner.close();
  }
}

interface Stack {
  readonly depth: number;
  readonly hidden: number;
  readonly widen: number;
  /** Exporters write nodes in any legal order; here branches come in two. */
  readonly gated: boolean;
  readonly seed: number;
}

const stacks: fc.Arbitrary<Stack> = fc.record({
  depth: fc.integer({ min: 1, max: 7 }),
  hidden: fc.integer({ min: 6, max: 24 }),
  widen: fc.integer({ min: 2, max: 5 }),
  gated: fc.boolean(),
  seed: fc.nat(10_000),
});

/** Numbers of one row of `x`. */
const FEATURES = 5;

/** An embedding of `x` and `depth` layers of `h + f(h)`, each narrow at its ends and wide inside. */
function residualStack({ depth, hidden, widen, gated, seed }: Stack): OnnxModel {
  const nodes: OnnxNode[] = [node('MatMul', ['x', 'in'], ['h0'])];
  const initializers: OnnxTensor[] = [randomWeight('in', [FEATURES, hidden], seed + 300)];
  const inner = hidden * widen;
  for (let layer = 0; layer < depth; layer += 1) {
    const [from, to] = [`h${layer}`, layer === depth - 1 ? 'y' : `h${layer + 1}`];
    const p = `l${layer}`;
    initializers.push(randomWeight(`${p}.up`, [hidden, inner], seed + layer));
    initializers.push(randomWeight(`${p}.down`, [inner, hidden], seed + 100 + layer));
    nodes.push(node('MatMul', [from, `${p}.up`], [`${p}.wide`]), node('Tanh', [`${p}.wide`], [`${p}.act`]));
    if (gated) {
      initializers.push(randomWeight(`${p}.gate`, [hidden, inner], seed + 200 + layer));
      nodes.push(node('MatMul', [from, `${p}.gate`], [`${p}.open`]));
      nodes.push(node('Mul', [`${p}.act`, `${p}.open`], [`${p}.mix`]));
    }
    nodes.push(node('MatMul', [gated ? `${p}.mix` : `${p}.act`, `${p}.down`], [`${p}.low`]));
    nodes.push(node('Add', [from, `${p}.low`], [to]));
  }
  return model({
    nodes,
    initializers,
    inputs: [value('x', 'float32', [1, 'rows', FEATURES])],
    outputs: [value('y', 'float32', [1, 'rows', hidden])],
  });
}

describe('a stack of residual layers', () => {
  it('is cut between all of its layers and nowhere else, one tensor each', async () => {
    await fc.assert(
      fc.asyncProperty(stacks, async (stack) => {
        const { manifest } = await importOne(residualStack(stack));
        const sent = manifest.cuts.map(({ crossings }) => crossings.once?.sent.map(({ name }) => name) ?? []);
        const between = Array.from({ length: stack.depth }, (_, index) => [`h${index}`]);
        expect(sent).toEqual([['x'], ...between, []]);
        for (const { crossings } of manifest.cuts.slice(1, -1)) {
          expect(crossings.once?.sent[0]?.dims).toEqual([1, null, stack.hidden]);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('gives the same whole or span by span, in the order of its cuts', async () => {
    await fc.assert(
      fc.asyncProperty(stacks, fc.integer({ min: 1, max: 9 }), async (stack, rows) => {
        const { manifest, files } = await importOne(residualStack(stack));
        const [stage] = manifest.stages;
        const graphFile = stage?.kind === 'once' ? stage.graphs.once : '';
        // Weights of tiny models stay in the graph or lie in shards; put them back.
        const graph = toModelGraph(withWeights(readModel(files.get(graphFile) ?? new Uint8Array(0)), files));
        const next = seeded(stack.seed);
        const x = float32Tensor(
          Float32Array.from({ length: rows * FEATURES }, () => next()),
          [1, rows, FEATURES],
        );
        const whole = await nodeProber(residualStack(stack), { x }, ['y']);
        let values: TensorMap = { x };
        for (const { index } of manifest.blocks) {
          const { given, results } = segmentPhase(manifest, { stage: 0, from: index, to: index + 1 }, 'once');
          const span = composeSegment(graph, given, results);
          const feeds = Object.fromEntries(
            Object.entries(values).filter(([name]) => span.inputs.includes(name)),
          );
          values = await nodeProber(span.model, feeds, span.outputs);
        }
        expect(values).toEqual(whole);
      }),
      { numRuns: 15 },
    );
  });
});

function withWeights(read: OnnxModel, files: ReadonlyMap<string, Uint8Array>): OnnxModel {
  const initializers = read.graph.initializers.map((tensor): OnnxTensor => {
    const { external, ...rest } = tensor;
    if (external === undefined) return tensor;
    const shard = files.get(external.location) ?? new Uint8Array(0);
    return { ...rest, data: shard.slice(external.offset, external.offset + (external.length ?? 0)) };
  });
  return { ...read, graph: { ...read.graph, initializers } };
}

describe('graphs without a place to cut', () => {
  it.each([
    ['no nodes', tinyEmpty],
    ['a Loop round everything', tinyLoopGraph],
    [
      'one layer on the raw input',
      () =>
        model({
          nodes: [node('MatMul', ['x', 'w'], ['wide']), node('Tanh', ['wide'], ['y'])],
          initializers: [randomWeight('w', [4, 64], 1)],
          inputs: [value('x', 'float32', [1, 'rows', 4])],
          outputs: [value('y', 'float32', [1, 'rows', 64])],
        }),
    ],
  ])('%s: one block, a note that says so, and it runs', async (_, make) => {
    const made = await importOne(make());
    expect(made.manifest.blocks.length).toBe(1);
    expect(made.manifest.notes.join()).toContain('one block');
    const verdict = await verify(made);
    expect(verdict.cuts.map(({ cut }) => cut)).toEqual([0, 1]);
    expect(verdict.ok).toBe(true);
  });
});

describe('what exporters write', () => {
  it('weights in Constant nodes are weights', async () => {
    const plain = residualStack({ depth: 3, hidden: 24, widen: 5, gated: true, seed: 5 });
    const constants = plain.graph.initializers.map((tensor) =>
      node(
        'Constant',
        [],
        [tensor.name],
        [
          // AttributeProto.AttributeType.TENSOR
          {
            name: 'value',
            tensor: { ...tensor, name: '' },
            graphs: [],
            ints: [],
            rest: [Uint8Array.of(0xa0, 0x01, 4)],
          },
        ],
      ),
    );
    const written = writeModel({
      ...plain,
      graph: { ...plain.graph, initializers: [], nodes: [...constants, ...plain.graph.nodes] },
    });
    const made = await importOne(readModel(written));
    const expected = await importOne(plain);
    expect(made.manifest.blocks).toEqual(expected.manifest.blocks);
    // Three matrices of 24 x 120 floats in each layer; the embedding is small enough to stay inline.
    expect(made.manifest.blocks.map(({ weightBytes }) => weightBytes)).toEqual([0, 34_560, 34_560, 34_560]);
    expect(made.manifest.cuts).toEqual(expected.manifest.cuts);
  });

  it('a decoder merged by an If is its two branches, and equals the plain one', async () => {
    const { encoder, decoder } = tinyEncoderDecoder();
    const generation = { bosToken: TINY.bosToken, eosTokens: [TINY.eosToken], maxTokens: 32 };
    const importBoth = (second: OnnxModel) =>
      importModel(
        [
          { name: 'encoder', model: encoder },
          { name: 'decoder', model: second },
        ],
        { name: 'n', generation },
        tools,
      );
    const merged = await importBoth(mergedDecoder(decoder));
    const plain = await importBoth(decoder);
    expect(merged.manifest.notes.join()).toContain('largest difference 0');
    expect(merged.manifest.blocks.length).toBe(plain.manifest.blocks.length);
    expect(merged.manifest.blocks.map(({ weightBytes }) => weightBytes)).toEqual(
      plain.manifest.blocks.map(({ weightBytes }) => weightBytes),
    );
    const verdict = await verify(merged);
    expect(verdict.ok).toBe(true);
    expect(verdict.cuts.every(({ maxAbsDiff }) => maxAbsDiff === 0)).toBe(true);
  });
});

/** `If(use_cache)`: the step as it is, or the same beginning from nothing; weights stay outside. */
function mergedDecoder(decoder: OnnxModel): OnnxModel {
  const { graph } = decoder;
  const states = graph.inputs.filter(({ name }) => name.startsWith('past.'));
  const branch = (
    name: string,
    nodes: readonly OnnxNode[],
    initializers: readonly OnnxTensor[],
  ): OnnxGraph => ({
    name,
    nodes: nodes.map((inner) => ({
      ...inner,
      name: `${name}/${inner.name}`,
      inputs: inner.inputs.map((input) => rename(name, input)),
      outputs: inner.outputs.map((output) => rename(name, output)),
    })),
    initializers,
    inputs: [],
    outputs: graph.outputs.map((output) => ({ ...output, name: rename(name, output.name) })),
    hasSparse: false,
  });
  const made = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
  const rename = (name: string, of: string): string => {
    const isFresh = name === 'else' && states.some((state) => state.name === of);
    return made.has(of) || isFresh ? `${name}/${of}` : of;
  };
  const nothing = states.map(
    (state): OnnxTensor => ({
      name: `else/${state.name}`,
      dataType: 1,
      dims: [1, 0, TINY.hidden],
      data: new Uint8Array(0),
      rest: [],
    }),
  );
  const choice = node(
    'If',
    ['use_cache'],
    graph.outputs.map(({ name }) => name),
    [
      graphAttribute('then_branch', branch('then', graph.nodes, [])),
      graphAttribute('else_branch', branch('else', graph.nodes, nothing)),
    ],
  );
  return {
    ...decoder,
    graph: { ...graph, nodes: [choice], inputs: [...graph.inputs, value('use_cache', 'bool', [1])] },
  };
}
