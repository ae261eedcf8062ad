/** Graphs with one thing changed at random: where the kernels take one, they make of it what onnxruntime makes. */
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { asFloat32, makeTensor } from '../../../src/core/tensor.ts';
import type { OnnxModel, OnnxNode } from '../../../src/graph/onnx-types.ts';
import { writeModel } from '../../../src/graph/onnx-write.ts';
import { createNodeRunner } from '../../../src/runtime/node/ort-node.ts';
import { compileRows } from '../../../src/runtime/rows/compile.ts';
import type { SegmentRunner } from '../../../src/runtime/runner.ts';
import {
  chainOf,
  handCutPackage,
  openRows,
  type RowsPackage,
  scoresOf,
  stageOf,
  type TinyRowsPackage,
} from '../../fixtures/rows.ts';
import { prompt } from '../loop-package.ts';

const VOCABULARY = 160;
const TOKENS = prompt(20, VOCABULARY);

let pkg: TinyRowsPackage;

beforeAll(async () => {
  pkg = await handCutPackage('qwen2', { layers: 1, tiedHead: true, hidden: 80 });
});

interface Change {
  readonly what: 'input' | 'like another' | 'int' | 'ints' | 'constant';
  /** Which node or constant, and which of its parts. */
  readonly which: number;
  readonly part: number;
  readonly other: number;
  readonly value: number;
}

const changes: fc.Arbitrary<Change> = fc.record({
  what: fc.constantFrom('input', 'like another', 'int', 'ints', 'constant'),
  which: fc.nat(),
  part: fc.nat(),
  other: fc.nat(),
  value: fc.integer({ min: -3, max: 5 }),
});

const pick = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;

function changed(model: OnnxModel, { what, which, part, other, value }: Change): OnnxModel {
  const { graph } = model;
  const at = which % graph.nodes.length;
  const node = (make: (node: OnnxNode) => Partial<OnnxNode>): OnnxModel => {
    const nodes = graph.nodes.map((each, index) => (index === at ? { ...each, ...make(each) } : each));
    return { ...model, graph: { ...graph, nodes } };
  };
  const replace = <T>(list: readonly T[], make: (old: T) => T): T[] =>
    list.map((each, index) => (index === part % list.length ? make(each) : each));
  if (what === 'input') {
    const before = graph.nodes.slice(0, at).flatMap(({ outputs }) => outputs);
    const names = [...before, ...graph.initializers.map(({ name }) => name), ''];
    return node(({ inputs }) => ({ inputs: replace(inputs, () => pick(names, other)) }));
  }
  if (what === 'like another') {
    return node(({ opType, inputs }) => {
      const alike = pick(
        graph.nodes.filter((each) => each.opType === opType),
        other,
      );
      return { inputs: replace(inputs, (name) => alike.inputs[part % inputs.length] ?? name) };
    });
  }
  if (what === 'constant') {
    const initializers = graph.initializers.map((tensor, index) => {
      if (index !== which % graph.initializers.length || tensor.data === undefined) return tensor;
      return { ...tensor, data: withElement(tensor.data, tensor.dataType, part, value) };
    });
    return { ...model, graph: { ...graph, initializers } };
  }
  return node(({ attributes }) => ({
    attributes: replace(attributes, (attribute) => {
      if (what === 'ints') return { ...attribute, ints: replace(attribute.ints, () => BigInt(value)) };
      return attribute.int === undefined ? attribute : { ...attribute, int: BigInt(value) };
    }),
  }));
}

/** One element of a constant changed; ONNX's numbers of types. */
function withElement(data: Uint8Array, dataType: number, index: number, value: number): Uint8Array {
  const copy = new Uint8Array(data);
  const view = new DataView(copy.buffer);
  const place = (bytes: number): number => (index % (copy.byteLength / bytes)) * bytes;
  if (dataType === 1) view.setFloat32(place(4), value / 2, true);
  else if (dataType === 6) view.setInt32(place(4), value, true);
  else if (dataType === 7) view.setBigInt64(place(8), BigInt(value), true);
  else view.setInt8(place(1), value);
  return copy;
}

async function scores(runner: SegmentRunner, of: RowsPackage): Promise<Float32Array> {
  const all = chainOf([0, of.manifest.blocks.length]);
  try {
    for (const segment of all) await runner.load(segment);
    const bytes = await scoresOf(runner, of, all, TOKENS);
    return asFloat32(makeTensor('float32', [TOKENS.length, VOCABULARY], bytes));
  } finally {
    await runner.close();
  }
}

it('makes the same of whatever it takes', async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(changes, async (change) => {
      const altered = changed(pkg.built.model, change);
      if ('refused' in compileRows(altered, stageOf(pkg))) return;
      const bytes = writeModel(altered);
      const other = { ...pkg, source: { read: async () => bytes } };
      // A graph that is not valid is refused by onnxruntime; who takes it all the same makes no promise.
      const wanted = await scores(createNodeRunner(other.manifest, other.source), other).catch(
        () => undefined,
      );
      if (wanted === undefined) return;
      const made = await scores((await openRows(other)).runner, other);
      const size = wanted.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
      // Constants of zero lead to scores of zero, or to none that are numbers.
      if (!Number.isFinite(size)) return;
      compared += 1;
      const error = made.reduce((top, value, at) => Math.max(top, Math.abs(value - (wanted[at] ?? 0))), 0);
      expect(error).toBeLessThanOrEqual(size * 0.05);
    }),
    { numRuns: 300 },
  );
  expect(compared).toBeGreaterThan(20);
});
