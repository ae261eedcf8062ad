/**
 * What an input that is neither tokens, state nor context may mean, from its shape and from what the
 * graph does with it. Which of the candidates is right is measured; see `settle-feeds.ts`.
 */
import { dependents } from '../../graph/derived.ts';
import type { ModelGraph } from '../../graph/model-graph.ts';
import { dtypeOf, type OnnxValue } from '../../graph/onnx-types.ts';
import type { FeedKind } from '../manifest.ts';
import { sourceOf } from './token-input.ts';

export interface FeedCandidates {
  readonly value: OnnxValue;
  /** Best guess first; never empty. */
  readonly kinds: readonly FeedKind[];
}

/** Operators whose input slots have a meaning; onnxruntime's ContribOperators.md and ONNX opset 23. */
const SLOTS: readonly {
  readonly op: string;
  readonly slot: number;
  readonly rank?: number;
  readonly kind: FeedKind;
}[] = [
  { op: 'com.microsoft:GroupQueryAttention', slot: 5, kind: 'last' },
  { op: 'com.microsoft:GroupQueryAttention', slot: 6, kind: 'total' },
  { op: 'com.microsoft:GroupQueryAttention', slot: 9, rank: 2, kind: 'positions' },
  { op: 'com.microsoft:RotaryEmbedding', slot: 1, rank: 2, kind: 'positions' },
  { op: 'com.microsoft:RotaryEmbedding', slot: 1, rank: 1, kind: 'past' },
  { op: ':RotaryEmbedding', slot: 3, rank: 2, kind: 'positions' },
];

/** Last hints: they only say what is tried first. */
const NAME_HINTS: readonly (readonly [RegExp, FeedKind])[] = [
  [/mask/i, 'mask'],
  [/pos/i, 'positions'],
  [/past|offset|start/i, 'past'],
  [/total/i, 'total'],
  [/keep|num_logits/i, 'picked-count'],
];

/**
 * @param tokens the token input, whose extents have names that others may share
 * @param states outputs that carry state: a place in the text changes them, a choice of rows does not
 * @returns `undefined` where the input can be nothing of the kind
 */
export function feedCandidates(
  graph: ModelGraph,
  value: OnnxValue,
  tokens: OnnxValue,
  states: Iterable<string>,
): FeedCandidates | undefined {
  const { dims } = value;
  if (dims === undefined) return undefined;
  const known = slotKind(graph, value);
  if (known !== undefined) return { value, kinds: [known] };
  const made = dependents(graph, new Set([value.name]));
  const moves = [...states].some((name) => made.has(name));
  const kinds = kindsByShape(value, tokens, moves);
  if (kinds.length === 0) return undefined;
  const hinted = NAME_HINTS.filter(([pattern]) => pattern.test(value.name)).map(([, kind]) => kind);
  const first = kinds.filter((kind) => hinted.includes(kind));
  return { value, kinds: [...first, ...kinds.filter((kind) => !first.includes(kind))] };
}

function slotKind(graph: ModelGraph, { name, dims }: OnnxValue): FeedKind | undefined {
  for (const node of graph.nodes) {
    const op = `${node.domain === 'ai.onnx' ? '' : node.domain}:${node.opType}`;
    const slot = SLOTS.find(
      (known) =>
        known.op === op &&
        node.inputs[known.slot] !== undefined &&
        countedFrom(graph, node.inputs[known.slot]) === name &&
        (known.rank === undefined || known.rank === dims?.length),
    );
    if (slot !== undefined) return slot.kind;
  }
  return undefined;
}

/** Behind these, with constants alone beside it, a number is still the same up to an offset. */
const OFFSET_OPS = new Set(['Add', 'Sub', 'Reshape', 'Squeeze', 'Unsqueeze']);

/** The value that a number begins with: padding and other offsets do not change what it counts. */
function countedFrom(graph: ModelGraph, name = ''): string {
  for (let at = sourceOf(graph, name); ; ) {
    const node = graph.nodes[graph.producer.get(at) ?? -1];
    const counted = node?.inputs.filter((input) => input !== '' && !graph.initializers.has(input)) ?? [];
    const [next] = counted;
    if (node === undefined || !OFFSET_OPS.has(node.opType) || next === undefined || counted.length > 1)
      return at;
    at = sourceOf(graph, next);
  }
}

function kindsByShape(value: OnnxValue, tokens: OnnxValue, moves: boolean): FeedKind[] {
  const dims = value.dims ?? [];
  const dtype = dtypeOf(value.elemType) ?? '';
  const isWhole = /^u?int(32|64)$/.test(dtype);
  const [batch, rows] = tokens.dims ?? [];
  const isOne = (dim: unknown): boolean => dim === 1 || (typeof dim === 'string' && dim === batch);
  if (dims.every(isOne)) {
    if (!isWhole) return [];
    // Numbers: a count of rows to score leaves the state alone.
    return moves ? ['past', 'total', 'last', 'picked-count'] : ['picked-count', 'past', 'total', 'last'];
  }
  if (dims.length === 1) {
    if (!isWhole) return [];
    return moves ? ['positions', 'picked', 'last', 'total', 'past'] : ['picked', 'positions'];
  }
  if (dims.length !== 2) return [];
  if (!isWhole) return ['mask'];
  return typeof rows === 'string' && dims[1] === rows ? ['positions', 'mask'] : ['mask', 'positions'];
}
