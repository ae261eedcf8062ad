/** Graphs that were changed at random: a program that can be laid out, or a refusal; never another error. */
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from '../../../src/graph/onnx-types.ts';
import type { LoopStage } from '../../../src/package/manifest.ts';
import { compileRows } from '../../../src/runtime/rows/compile.ts';
import { layOut } from '../../../src/runtime/rows/layout.ts';
import { handCutPackage, stageOf } from '../../fixtures/rows.ts';

let model: OnnxModel;
let stage: LoopStage;

beforeAll(async () => {
  const pkg = await handCutPackage('qwen2', { layers: 1, tiedHead: true });
  model = pkg.built.model;
  stage = stageOf(pkg);
});

type Change =
  | { readonly kind: 'operator' | 'input' | 'output'; readonly from: number; readonly to: number }
  | { readonly kind: 'attribute'; readonly from: number; readonly to: number; readonly value: number }
  | {
      readonly kind: 'shorter' | 'longer' | 'gone' | 'bare' | 'swapped';
      readonly from: number;
      readonly to: number;
    }
  | {
      readonly kind: 'constant' | 'value';
      readonly from: number;
      readonly to: number;
      readonly dims: number[];
    };

const place = { from: fc.nat(), to: fc.nat() };
const small = fc.integer({ min: -3, max: 130 });
const changes: fc.Arbitrary<Change[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('operator', 'input', 'output'), ...place }),
    fc.record({ kind: fc.constant('attribute' as const), value: small, ...place }),
    fc.record({ kind: fc.constantFrom('shorter', 'longer', 'gone', 'bare', 'swapped'), ...place }),
    fc.record({
      kind: fc.constantFrom('constant', 'value'),
      dims: fc.array(small, { maxLength: 4 }),
      ...place,
    }),
  ),
  { minLength: 1, maxLength: 4 },
);

const at = <T>(list: readonly T[], index: number): T | undefined => list[index % Math.max(list.length, 1)];

function withAttribute(list: readonly OnnxAttribute[], index: number, value: number): OnnxAttribute[] {
  const float = new Uint8Array(5);
  float[0] = 0x15;
  new DataView(float.buffer).setFloat32(1, value, true);
  const forms: Partial<OnnxAttribute>[] = [
    { int: BigInt(value), ints: [], rest: [] },
    { ints: [BigInt(value), 2n], rest: [] },
    { ints: [], rest: [float] },
    { name: 'other' },
  ];
  return list.map((attribute, place) => {
    if (place !== index % list.length) return attribute;
    const { int: _, ...bare } = attribute;
    return { ...bare, ...at(forms, value + 3) };
  });
}

function changed(given: OnnxModel, change: Change): OnnxModel {
  const { graph } = given;
  const { from, to } = change;
  const names = [
    ...graph.nodes.flatMap(({ outputs }) => outputs),
    ...graph.initializers.map(({ name }) => name),
    ...graph.inputs.map(({ name }) => name),
    'nowhere',
  ];
  const node = (make: (node: OnnxNode) => Partial<OnnxNode>): OnnxModel => {
    const nodes = graph.nodes.map((each, index) =>
      index === from % graph.nodes.length ? { ...each, ...make(each) } : each,
    );
    return { ...given, graph: { ...graph, nodes } };
  };
  const other = at(graph.nodes, to);
  switch (change.kind) {
    case 'operator':
      return node(({ opType }) => ({ opType: other?.opType ?? opType }));
    case 'input':
      return node(({ inputs }) => ({
        inputs: inputs.map((name, index) => (index === to % inputs.length ? (at(names, to) ?? name) : name)),
      }));
    case 'output':
      return node(({ outputs }) => ({ outputs: [at(names, to) ?? '', ...outputs.slice(1)] }));
    case 'attribute':
      return node(({ attributes }) => ({ attributes: withAttribute(attributes, to, change.value) }));
    case 'bare':
      return node(({ attributes }) => ({ attributes: attributes.slice(0, to % (attributes.length + 1)) }));
    case 'shorter':
      return node(({ inputs, outputs }) =>
        to % 2 === 0 ? { inputs: inputs.slice(0, -1) } : { outputs: outputs.slice(0, -1) },
      );
    case 'longer':
      return node(({ inputs, outputs }) =>
        to % 2 === 0 ? { inputs: [...inputs, at(names, to) ?? ''] } : { outputs: [...outputs, 'more'] },
      );
    case 'gone':
      return { ...given, graph: { ...graph, nodes: graph.nodes.toSpliced(from % graph.nodes.length, 1) } };
    case 'swapped':
      return node(({ inputs }) => ({ inputs: inputs.toReversed() }));
    case 'constant': {
      const initializers = graph.initializers.map((tensor, index): OnnxTensor => {
        if (index !== from % graph.initializers.length) return tensor;
        const { data, ...bare } = tensor;
        if (to % 4 === 0) return bare;
        if (to % 4 === 1) return { ...tensor, dataType: to % 13 };
        return {
          ...tensor,
          dims: change.dims,
          ...(data && to % 4 === 2 ? { data: data.subarray(0, to % 23) } : {}),
        };
      });
      return { ...given, graph: { ...graph, initializers } };
    }
    case 'value': {
      const inputs = graph.inputs.map((value, index) => {
        if (index !== from % graph.inputs.length) return value;
        const { dims: _, ...bare } = value;
        return to % 3 === 0 ? { ...bare, elemType: to % 13 } : { ...value, dims: change.dims };
      });
      return { ...given, graph: { ...graph, inputs } };
    }
  }
}

it('compiles or refuses', () => {
  let programs = 0;
  fc.assert(
    fc.property(changes, (list) => {
      const made = compileRows(list.reduce(changed, model), stage);
      if ('refused' in made) {
        expect(made.refused.length).toBeGreaterThan(5);
        return;
      }
      programs += 1;
      const { offsets, bytes } = layOut(made);
      expect(Number.isSafeInteger(bytes)).toBe(true);
      for (const { args } of [...made.body, ...made.head]) {
        // The words that an operation has for them.
        expect(args.length).toBeLessThanOrEqual(12);
        for (const arg of args) {
          if ('buffer' in arg) expect(offsets.get(arg.buffer.id)).toBeLessThan(bytes);
          if ('int' in arg) expect(Number.isInteger(arg.int)).toBe(true);
        }
      }
    }),
    { numRuns: 4000 },
  );
  // Some changes are of no account; if none were, the test would look at refusals alone.
  expect(programs).toBeGreaterThan(50);
});
