/** Which output of a step is which input of the next one: by what the graph does, then by names. */
import type { ModelGraph } from '../../graph/model-graph.ts';
import { toModelGraph } from '../../graph/model-graph.ts';
import type { OnnxModel, OnnxNode, OnnxValue } from '../../graph/onnx-types.ts';
import { graphTraits } from '../../graph/traits.ts';

export interface StatePair {
  readonly input: OnnxValue;
  readonly output: OnnxValue;
}

/**
 * Attention operators that extend state inside: output slot, and the input slot that it continues.
 * onnxruntime's ContribOperators.md and ONNX's Attention (opset 23).
 */
const STATE_SLOTS: Readonly<Record<string, readonly (readonly [output: number, input: number])[]>> = {
  'com.microsoft:GroupQueryAttention': [
    [1, 3],
    [2, 4],
  ],
  'com.microsoft:MultiHeadAttention': [
    [1, 6],
    [2, 7],
  ],
  'com.microsoft:Attention': [[1, 4]],
  ':Attention': [
    [1, 4],
    [2, 5],
  ],
};

/** Above any length of a name: what the graph does decides before what things are called. */
const STRUCTURE_SCORE = 1e6;

/** Shorter endings in common say nothing: all names end in some digit. */
const MIN_SUFFIX = 2;

/** The attention node that continues state itself, with the input that `output` continues. */
export function continuedInput(
  graph: ModelGraph,
  output: string,
): { node: OnnxNode; input: string } | undefined {
  const node = graph.nodes[graph.producer.get(output) ?? -1];
  if (node === undefined) return undefined;
  const slots = STATE_SLOTS[`${node.domain === 'ai.onnx' ? '' : node.domain}:${node.opType}`];
  const slot = slots?.find(([made]) => node.outputs[made] === output);
  const input = slot === undefined ? undefined : node.inputs[slot[1]];
  return input === undefined || input === '' ? undefined : { node, input };
}

/** Pairs of state, in the order of the inputs. */
export function pairStates(model: OnnxModel): StatePair[] {
  const graph = toModelGraph(model);
  const heavy = graphTraits(graph, new Set(), []).heavy;
  const matches: { pair: StatePair; score: number }[] = [];
  for (const output of model.graph.outputs) {
    const inputs = model.graph.inputs.filter((input) => sameForm(input, output));
    if (inputs.length === 0) continue;
    const reached = continues(graph, heavy, output.name);
    const candidates = inputs.filter((input) => reached.has(input.name)).length;
    for (const input of inputs) {
      const suffix = commonSuffix(input.name, output.name);
      const isReached = reached.has(input.name);
      if (!isReached && suffix < MIN_SUFFIX) continue;
      matches.push({
        pair: { input, output },
        score: suffix + (isReached ? STRUCTURE_SCORE / candidates : 0),
      });
    }
  }
  matches.sort((a, b) => b.score - a.score);
  const used = new Set<OnnxValue>();
  const pairs: StatePair[] = [];
  for (const { pair } of matches) {
    if (used.has(pair.input) || used.has(pair.output)) continue;
    used.add(pair.input).add(pair.output);
    pairs.push(pair);
  }
  const place = new Map(model.graph.inputs.map((value, index) => [value, index]));
  return pairs.sort((a, b) => (place.get(a.input) ?? 0) - (place.get(b.input) ?? 0));
}

/** Inputs that `output` continues: what it is made of without a weight matrix between. */
function continues(graph: ModelGraph, heavy: readonly boolean[], output: string): Set<string> {
  const found = new Set<string>();
  const pending = [output];
  const seen = new Set(pending);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (graph.inputs.has(name)) found.add(name);
    const producer = graph.producer.get(name) ?? -1;
    const node = graph.nodes[producer];
    if (node === undefined || node.opType === 'Shape') continue;
    const direct = continuedInput(graph, name);
    if (direct === undefined && heavy[producer] === true) continue;
    for (const read of direct === undefined ? (graph.reads[producer] ?? []) : [direct.input]) {
      if (seen.has(read)) continue;
      seen.add(read);
      pending.push(read);
    }
  }
  return found;
}

/** State is at least of rank 3 (batch, extent, features) and of one dtype and shape at both ends. */
function sameForm(input: OnnxValue, output: OnnxValue): boolean {
  if (input.elemType !== output.elemType || input.dims === undefined || output.dims === undefined)
    return false;
  if (input.dims.length !== output.dims.length || input.dims.length < 3) return false;
  return input.dims.every((dim, axis) => {
    const other = output.dims?.[axis];
    return typeof dim !== 'number' || typeof other !== 'number' || dim === other;
  });
}

function commonSuffix(a: string, b: string): number {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a.at(-1 - length) === b.at(-1 - length)) length += 1;
  return length;
}
