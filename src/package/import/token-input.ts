/** Which input takes token ids: the one that looks rows up in the table of embeddings. */
import type { ModelGraph } from '../../graph/model-graph.ts';
import { dtypeOf, type OnnxValue } from '../../graph/onnx-types.ts';
import { graphTraits } from '../../graph/traits.ts';

/** Operators that take rows of a table (input 0) by indices (input 1). */
const LOOKUP_OPS = new Set(['Gather', 'GatherBlockQuantized']);

/** Operators behind which a value still means the same. */
const SAME_OPS = new Set(['Cast', 'Identity']);

/** Names that exporters give to token ids, where the graph leaves several candidates. */
const TOKEN_NAME = /ids|token/i;

export interface TokenInput {
  readonly value: OnnxValue;
  /** Rows of its table: the number of ids. */
  readonly ids: number;
}

/**
 * Positions and segment ids look rows up too, in tables of their own. Tokens are those whose table has
 * as many rows as there are `scores`; failing that, those named so; failing that, the largest table.
 */
export function tokenInput(graph: ModelGraph, scores?: number): TokenInput | undefined {
  const candidates = new Map<string, TokenInput & { readonly elements: number }>();
  const constant = graphTraits(graph, new Set(), []).constant;
  for (const node of graph.nodes) {
    const [table, indices] = node.inputs;
    if (!LOOKUP_OPS.has(node.opType) || table === undefined || !constant.has(table)) continue;
    const value = graph.inputs.get(sourceOf(graph, indices));
    if (value?.dims?.length !== 2 || !/^int(32|64)$/.test(dtypeOf(value.elemType) ?? '')) continue;
    const dims = graph.initializers.get(table)?.dims ?? [];
    const axis = Number(node.attributes.find((attribute) => attribute.name === 'axis')?.int ?? 0n);
    const elements = dims.reduce((product, dim) => product * dim, 1);
    const ids = dims.at(axis) ?? 1;
    if ((candidates.get(value.name)?.elements ?? 0) <= elements) {
      candidates.set(value.name, { value, ids, elements });
    }
  }
  // In the order of the inputs: the sort keeps it among equals.
  const found = [...graph.inputs.keys()].flatMap((name) => candidates.get(name) ?? []);
  const rank = (candidate: (typeof found)[number]): number[] => [
    candidate.ids === scores ? 1 : 0,
    TOKEN_NAME.test(candidate.value.name) ? 1 : 0,
    candidate.elements,
  ];
  return found.sort((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    const at = left.findIndex((value, index) => value !== right[index]);
    return (right[at] ?? 0) - (left[at] ?? 0);
  })[0];
}

/** The value that a chain of renames and casts begins with. */
export function sourceOf(graph: ModelGraph, name = ''): string {
  for (let at = name; ; ) {
    const producer = graph.producer.get(at);
    const node = producer === undefined ? undefined : graph.nodes[producer];
    if (node === undefined || !SAME_OPS.has(node.opType)) return at;
    at = node.inputs[0] ?? '';
  }
}
