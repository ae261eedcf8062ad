/** Fused norms as their halves: the same numbers, and back again. */
import { describe, expect, it } from 'vitest';
import { asFloat32, float32Tensor } from '../../src/core/tensor.ts';
import type { OnnxModel } from '../../src/graph/onnx-types.ts';
import { joinSkipNorms, splitSkipNorms } from '../../src/graph/skip-norms.ts';
import { nodeProber } from '../../src/runtime/node/ort-node.ts';
import { FORM, Sketch } from '../fixtures/llm-forms-sketch.ts';

const { hidden } = FORM;
const EPSILON = { epsilon: { float: 1e-3 } };

interface Form {
  readonly opType: 'SkipLayerNormalization' | 'SkipSimplifiedLayerNormalization';
  readonly beta?: boolean;
  readonly bias?: boolean;
  readonly epsilon?: boolean;
}

/** Two norms one after the other; the sum of the first is the residual of the second. */
function twoNorms({ opType, beta = false, bias = false, epsilon = true }: Form): OnnxModel {
  const sketch = new Sketch(7);
  const x = sketch.input('x', 'float32', [1, 'rows', hidden]);
  const y = sketch.input('y', 'float32', [1, 'rows', hidden]);
  const inputs = (a: string, b: string): string[] => {
    const all = [a, b, sketch.gain()];
    if (opType === 'SkipLayerNormalization' && (beta || bias)) all.push(beta ? sketch.gain() : '');
    if (bias) all.push(sketch.gain());
    return all;
  };
  const attributes = epsilon ? EPSILON : {};
  sketch.ops(opType, inputs(x, y), ['first', '', '', 'sum'], attributes, 'com.microsoft');
  sketch.ops(opType, inputs('first', 'sum'), ['second'], attributes, 'com.microsoft');
  sketch.output('second', 'float32', [1, 'rows', hidden]);
  sketch.output('sum', 'float32', [1, 'rows', hidden]);
  return sketch.model();
}

const numbers = (seed: number) =>
  float32Tensor(
    Float32Array.from({ length: 3 * hidden }, (_, index) => Math.sin(index * 1.3 + seed) * 2),
    [1, 3, hidden],
  );

const FORMS: readonly Form[] = [
  { opType: 'SkipSimplifiedLayerNormalization' },
  { opType: 'SkipSimplifiedLayerNormalization', bias: true },
  { opType: 'SkipSimplifiedLayerNormalization', epsilon: false },
  { opType: 'SkipLayerNormalization' },
  { opType: 'SkipLayerNormalization', beta: true },
  { opType: 'SkipLayerNormalization', beta: true, bias: true },
  { opType: 'SkipLayerNormalization', bias: true },
];

describe.each(FORMS)('$opType, beta $beta, bias $bias, epsilon $epsilon', (form) => {
  it('computes the same in halves', async () => {
    const fused = twoNorms(form);
    const { model, fused: found } = splitSkipNorms(fused);
    expect([...found.keys()]).toEqual(['sum', 'second/sum']);
    expect(model.graph.nodes.every(({ domain }) => domain === '')).toBe(true);
    const feeds = { x: numbers(1), y: numbers(2) };
    const [whole, halves] = [
      await nodeProber(fused, feeds, ['sum', 'second']),
      await nodeProber(model, feeds, ['sum', 'second']),
    ];
    expect(halves.sum).toEqual(whole.sum);
    const [a, b] = [whole.second, halves.second].map((tensor) => tensor && asFloat32(tensor));
    expect(a?.length).toBe(3 * hidden);
    a?.forEach((value, index) => {
      expect(Math.abs(value - (b?.[index] ?? Number.NaN))).toBeLessThan(1e-5);
    });
  });

  it('is joined again but where it is to stay in halves', () => {
    const fused = twoNorms(form);
    const { model, fused: found } = splitSkipNorms(fused);
    expect(joinSkipNorms(model, found, new Set())).toEqual(fused);
    const kept = joinSkipNorms(model, found, new Set(['sum'])).graph.nodes;
    expect(kept.map(({ opType }) => opType)).toEqual([
      ...model.graph.nodes.slice(0, form.bias === true ? 3 : 2).map(({ opType }) => opType),
      form.opType,
    ]);
    expect(kept.at(-1)).toEqual(fused.graph.nodes[1]);
  });
});

describe('a norm with outputs for training', () => {
  it('is left as it is', () => {
    const model = twoNorms({ opType: 'SkipLayerNormalization' });
    const nodes = model.graph.nodes.map((node) => ({
      ...node,
      outputs: [node.outputs[0] ?? '', 'mean', 'deviation'],
    }));
    const trained = { ...model, graph: { ...model.graph, nodes } };
    expect(splitSkipNorms(trained).model).toBe(trained);
  });
});
