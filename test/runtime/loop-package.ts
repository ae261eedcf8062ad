/** Language models of a few kilobytes as packages, cut by hand wherever one tensor passes from layer to layer. */
import type { OnnxModel } from '../../src/graph/onnx-types.ts';
import { writeModel } from '../../src/graph/onnx-write.ts';
import type { Cut, LoopStage, Manifest, StateEntry, StepFeed } from '../../src/package/manifest.ts';
import { MANIFEST_FORMAT, MANIFEST_VERSION } from '../../src/package/manifest.ts';
import type { PackageSource } from '../../src/runtime/runner.ts';
import {
  intAttribute,
  intsAttribute,
  model,
  node,
  randomWeight,
  value,
  weight,
} from '../fixtures/onnx-build.ts';
import { tinyLlama } from '../fixtures/tiny-llama.ts';

export interface LoopPackage {
  readonly manifest: Manifest;
  readonly source: PackageSource;
}

interface LoopSketch {
  readonly graph: OnnxModel;
  readonly tokens: string;
  readonly logits: string;
  readonly vocabulary: number;
  readonly contextLength: number;
  /** What crosses between the blocks, in order. */
  readonly between: readonly string[];
  readonly hidden: number;
  readonly states: readonly StateEntry[];
  readonly feeds: readonly StepFeed[];
}

function sketch(of: LoopSketch): LoopPackage {
  const count = of.between.length + 1;
  const file = 'graphs/step.onnx';
  const bytes = writeModel(of.graph);
  const stage: LoopStage = {
    kind: 'loop',
    name: 'decoder',
    from: 0,
    to: count,
    graphs: { step: file },
    tokenInput: { name: of.tokens, dtype: 'int64', dims: [1, null] },
    logits: of.logits,
    context: [],
    states: of.states,
    feeds: of.feeds,
    vocabulary: of.vocabulary,
  };
  const crossing = (name: string, cut: number): Cut => ({
    cut,
    crossings: {
      step: {
        sent: [
          {
            name,
            dtype: 'float32',
            dims: [1, null, of.hidden],
            bytes: { base: 0, perUnit: 4 * of.hidden },
            lossy: true,
          },
        ],
        recomputed: [],
      },
    },
  });
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    version: MANIFEST_VERSION,
    name: 'text',
    stages: [stage],
    blocks: Array.from({ length: count }, (_, index) => ({
      index,
      stage: 0,
      shards: [],
      weightBytes: 0,
      nodes: 1,
    })),
    cuts: [
      { cut: 0, crossings: { step: { sent: [], recomputed: [] } } },
      ...of.between.map((name, at) => crossing(name, at + 1)),
      { cut: count, crossings: {} },
    ],
    files: { [file]: { sha256: '0'.repeat(64), bytes: bytes.byteLength } },
    text: { contextLength: of.contextLength, specialTokens: {}, addBos: false },
    notes: [],
  };
  return { manifest, source: { read: async () => bytes } };
}

/**
 * Grouped-query attention over shared buffers. The embedding and the head are blocks of their own, which
 * have no state: six blocks. 64 wide, 160 tokens.
 */
export async function llamaPackage(contextLength = 512): Promise<LoopPackage> {
  const built = await tinyLlama('llama', { config: { contextLength } });
  const { layers, kvHeads, headDim, hidden, vocabulary } = built.config;
  return sketch({
    graph: built.model,
    tokens: 'input_ids',
    logits: 'logits',
    vocabulary,
    contextLength,
    between: ['embed.residual', ...Array.from({ length: layers }, (_, layer) => `blk.${layer}.residual`)],
    hidden,
    states: built.states.map(({ input, output, axis }, at) => ({
      input,
      output,
      origin: 'step',
      dtype: 'float32',
      dims: [1, kvHeads, null, headDim],
      block: 1 + Math.floor(at / 2),
      growth: built.growth,
      axis,
    })),
    feeds: built.feeds,
  });
}

export const PLAIN = { hidden: 16, vocabulary: 32, layers: 3, contextLength: 128 } as const;

/**
 * Attention over state that is copied and grows (`append`), told apart by `positions` and `mask`; scores for
 * all rows. Three blocks.
 * @param options.shift each layer also mixes in the row before, kept as state that is `replace`d
 */
export function plainPackage(options: { readonly shift?: boolean } = {}): LoopPackage {
  const { hidden, vocabulary, layers, contextLength } = PLAIN;
  const shift = options.shift === true;
  const each = Array.from({ length: layers }, (_, layer) => layer);
  const constant = (name: string, values: readonly number[]) =>
    weight(name, [values.length], Float32Array.from(values));
  const layerNodes = (layer: number) => {
    const p = `l${layer}`;
    const [x, y] = [`x${layer}`, `x${layer + 1}`];
    const read = shift ? `${p}.read` : x;
    return [
      ...(shift
        ? [
            node('Concat', [`past.${layer}.row`, x], [`${p}.rows`], [intAttribute('axis', 1)]),
            node('Slice', [`${p}.rows`, 'from0', 'tominus1', 'axis1'], [`${p}.before`]),
            node('Slice', [`${p}.rows`, 'fromminus1', 'toend', 'axis1'], [`present.${layer}.row`]),
            node('Add', [x, `${p}.before`], [read]),
          ]
        : []),
      node('MatMul', [read, `${p}.key`], [`${p}.new`]),
      node(
        'Concat',
        [`past.${layer}.seen`, `${p}.new`],
        [`present.${layer}.seen`],
        [intAttribute('axis', 1)],
      ),
      node('Transpose', [`present.${layer}.seen`], [`${p}.turned`], [intsAttribute('perm', [0, 2, 1])]),
      node('MatMul', [read, `${p}.turned`], [`${p}.raw`]),
      node('Where', ['seen', `${p}.raw`, 'never'], [`${p}.scores`]),
      node('Softmax', [`${p}.scores`], [`${p}.share`], [intAttribute('axis', -1)]),
      node('MatMul', [`${p}.share`, `present.${layer}.seen`], [`${p}.mixed`]),
      node('Sub', [read, `${p}.mixed`], [`${p}.left`]),
      node('MatMul', [`${p}.left`, `${p}.out`], [`${p}.turnedOut`]),
      node('Tanh', [`${p}.turnedOut`], [`${p}.bent`]),
      node('Add', [x, `${p}.bent`], [y]),
    ];
  };
  const ints = (name: string, values: readonly number[]) => ({
    name,
    dataType: 7,
    dims: [values.length],
    data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
    rest: [],
  });
  const states = each.flatMap((layer): StateEntry[] => [
    {
      input: `past.${layer}.seen`,
      output: `present.${layer}.seen`,
      origin: 'step',
      dtype: 'float32',
      dims: [1, null, hidden],
      block: layer,
      growth: 'append',
      axis: 1,
    },
    ...(shift
      ? [
          {
            input: `past.${layer}.row`,
            output: `present.${layer}.row`,
            origin: 'step' as const,
            dtype: 'float32' as const,
            dims: [1, 1, hidden],
            block: layer,
            growth: 'replace' as const,
          },
        ]
      : []),
  ]);
  const graph = model({
    nodes: [
      node('Gather', ['table', 'tokens'], ['x0']),
      // Row r sees place t where t <= its position: places are counted off the mask.
      node('CumSum', ['mask', 'one'], ['counted']),
      node('Sub', ['counted', 'oneLong'], ['places']),
      node('Unsqueeze', ['places', 'axis1'], ['placesAcross']),
      node('Unsqueeze', ['positions', 'axis2'], ['positionsDown']),
      node('LessOrEqual', ['placesAcross', 'positionsDown'], ['seen']),
      ...each.flatMap(layerNodes),
      node('MatMul', [`x${layers}`, 'head'], ['logits']),
    ],
    initializers: [
      randomWeight('table', [vocabulary, hidden], 11, 6),
      randomWeight('head', [hidden, vocabulary], 12),
      constant('never', [-1e9]),
      ints('oneLong', [1]),
      ints('axis1', [1]),
      ints('axis2', [2]),
      { ...ints('one', [1]), dims: [] },
      ...(shift
        ? [ints('from0', [0]), ints('tominus1', [-1]), ints('fromminus1', [-1]), ints('toend', [2 ** 31])]
        : []),
      ...each.flatMap((layer) => [
        randomWeight(`l${layer}.key`, [hidden, hidden], 20 + layer),
        randomWeight(`l${layer}.out`, [hidden, hidden], 30 + layer, 2),
      ]),
    ],
    inputs: [
      value('tokens', 'int64', [1, 'rows']),
      value('positions', 'int64', [1, 'rows']),
      value('mask', 'int64', [1, 'total']),
      ...states.map(({ input, dims }) => value(input, 'float32', [1, dims[1] ?? `${input}.rows`, hidden])),
    ],
    outputs: [
      value('logits', 'float32', [1, 'rows', vocabulary]),
      ...states.map(({ output, dims }) => value(output, 'float32', [1, dims[1] ?? `${output}.rows`, hidden])),
    ],
  });
  return sketch({
    graph,
    tokens: 'tokens',
    logits: 'logits',
    vocabulary,
    contextLength,
    between: each.slice(1).map((layer) => `x${layer}`),
    hidden,
    states,
    feeds: [
      { input: 'positions', kind: 'positions', dtype: 'int64', rank: 2 },
      { input: 'mask', kind: 'mask', dtype: 'int64', rank: 2 },
    ],
  });
}

/** A prompt of `count` tokens that depend on the seed alone. */
export function prompt(count: number, vocabulary: number, seed = 1): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % vocabulary;
  });
}
