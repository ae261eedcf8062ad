/**
 * onnxruntime's fused norms add the residual and normalise the sum in one node, with the sum as a side
 * output. Before such a node both addends cross a cut, behind it the sum and its norm; between the two
 * only the sum would. So a fused norm at a cut is written as its two halves. Sources: onnxruntime's
 * ContribOperators.md (SkipLayerNormalization, SkipSimplifiedLayerNormalization).
 */
import { withGraph } from './model-graph.ts';
import type { OnnxAttribute, OnnxModel, OnnxNode } from './onnx-types.ts';

const HALVES: Readonly<Record<string, { readonly norm: string; readonly hasBeta: boolean }>> = {
  SkipLayerNormalization: { norm: 'LayerNormalization', hasBeta: true },
  SkipSimplifiedLayerNormalization: { norm: 'SimplifiedLayerNormalization', hasBeta: false },
};

/** Slot of the sum among the outputs; those between (mean, deviation) are for training. */
const SUM_SLOT = 3;

/** What the fused operators take where nothing is said; the plain ones take another value. */
const DEFAULT_EPSILON = 1e-12;

/** AttributeProto field 2 (fixed32) and field 20 (type). */
const FLOAT_TAG = 0x15;
const FLOAT_TYPE = Uint8Array.of(0xa0, 0x01, 1);
const INT_TYPE = Uint8Array.of(0xa0, 0x01, 2);

export interface SplitNorms {
  readonly model: OnnxModel;
  /** By the name of the sum: the fused node that its halves came from. */
  readonly fused: ReadonlyMap<string, OnnxNode>;
}

/** Writes every fused norm as its halves. */
export function splitSkipNorms(model: OnnxModel): SplitNorms {
  const fused = new Map<string, OnnxNode>();
  const nodes = model.graph.nodes.flatMap((node) => {
    const halves = halvesOf(node);
    if (halves === undefined) return [node];
    fused.set(halves.sum, node);
    return halves.nodes;
  });
  return fused.size === 0 ? { model, fused } : { model: withGraph(model, { nodes }), fused };
}

/** Puts fused norms back, but for those whose sum is in `split`. */
export function joinSkipNorms(
  model: OnnxModel,
  fused: SplitNorms['fused'],
  split: ReadonlySet<string>,
): OnnxModel {
  const gone = new Set<string>();
  const starts = new Map<string, OnnxNode>();
  for (const [sum, node] of fused) {
    if (split.has(sum)) continue;
    for (const half of halvesOf(node)?.nodes ?? []) for (const output of half.outputs) gone.add(output);
    starts.set(sum, node);
  }
  const nodes = model.graph.nodes.flatMap((node) => {
    const [output = ''] = node.outputs;
    return starts.get(output) ?? (gone.has(output) ? [] : [node]);
  });
  return withGraph(model, { nodes });
}

function halvesOf(node: OnnxNode): { readonly sum: string; readonly nodes: readonly OnnxNode[] } | undefined {
  const form = node.domain === 'com.microsoft' ? HALVES[node.opType] : undefined;
  const [input = '', skip = '', gamma = '', ...more] = node.inputs;
  const [normed = '', mean = '', deviation = ''] = node.outputs;
  if (form === undefined || normed === '' || mean !== '' || deviation !== '') return undefined;
  const beta = form.hasBeta ? (more[0] ?? '') : '';
  const bias = (form.hasBeta ? more[1] : more[0]) ?? '';
  const sum = node.outputs[SUM_SLOT] || `${normed}/sum`;
  const plain = bias === '' ? sum : `${sum}/plain`;
  const made = (opType: string, inputs: string[], output: string, attributes: OnnxAttribute[] = []) => {
    return { name: output, opType, domain: '', inputs, outputs: [output], attributes, rest: [] };
  };
  const norm = made(form.norm, beta === '' ? [sum, gamma] : [sum, gamma, beta], normed, [
    { name: 'axis', graphs: [], ints: [], int: -1n, rest: [INT_TYPE] },
    node.attributes.find((attribute) => attribute.name === 'epsilon') ?? epsilon(DEFAULT_EPSILON),
  ]);
  const add = made('Add', [input, skip], plain);
  return { sum, nodes: bias === '' ? [add, norm] : [add, made('Add', [plain, bias], sum), norm] };
}

function epsilon(value: number): OnnxAttribute {
  const field = new Uint8Array(5);
  field[0] = FLOAT_TAG;
  new DataView(field.buffer).setFloat32(1, value, true);
  return { name: 'epsilon', graphs: [], ints: [], rest: [field, FLOAT_TYPE] };
}
