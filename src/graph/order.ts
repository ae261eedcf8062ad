/**
 * A topological order in which every value is made just before it is needed. Exporters emit, say, the
 * cross-attention keys of all layers first; in such an order everything crosses everywhere. A
 * depth-first walk from the outputs puts each chain next to its reader, whatever the names are.
 */
import { IsthmusError } from '../errors.ts';
import { type ModelGraph, toModelGraph, withGraph } from './model-graph.ts';
import type { OnnxModel } from './onnx-types.ts';

/** Node indices in as-late-as-possible order for `roots` (default: the graph's outputs, in order). */
export function lateOrder(graph: ModelGraph, roots: readonly string[] = [...graph.outputs.keys()]): number[] {
  const order: number[] = [];
  const state = new Uint8Array(graph.nodes.length); // 0 new, 1 open, 2 done
  const stack: { node: number; next: number }[] = [];
  const open = (name: string): void => {
    const node = graph.producer.get(name);
    if (node === undefined || state[node] === 2) return;
    if (state[node] === 1) throw new IsthmusError('bad-model', `the graph has a cycle through '${name}'`);
    state[node] = 1;
    stack.push({ node, next: 0 });
  };
  for (const root of roots) {
    open(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const name = graph.reads[top.node]?.[top.next];
      top.next += 1;
      if (name !== undefined) {
        open(name);
        continue;
      }
      state[top.node] = 2;
      order.push(top.node);
      stack.pop();
    }
  }
  return order;
}

/**
 * The same model with its nodes in late order for `roots`. Nodes that no root needs follow what they
 * read at once: a state that is renamed or turned after its last use belongs to the layer that made
 * it, and at the end of the order it would cross every cut. Nodes that no output needs are dropped.
 */
export function sortLate(model: OnnxModel, roots?: readonly string[]): OnnxModel {
  const graph = toModelGraph(model);
  const order = lateOrder(graph, roots);
  /** Place in `order` of a node, or of the last node that an extra one follows; -1: before all. */
  const place = new Map(order.map((node, index) => [node, index]));
  const followers = new Map<number, number[]>();
  for (const node of lateOrder(graph)) {
    if (place.has(node)) continue;
    const anchors = (graph.reads[node] ?? []).map((name) => place.get(graph.producer.get(name) ?? -1) ?? -1);
    const anchor = Math.max(-1, ...anchors);
    place.set(node, anchor);
    followers.set(anchor, [...(followers.get(anchor) ?? []), node]);
  }
  const sorted = [
    ...(followers.get(-1) ?? []),
    ...order.flatMap((node, i) => [node, ...(followers.get(i) ?? [])]),
  ];
  return withGraph(model, { nodes: sorted.flatMap((index) => graph.nodes[index] ?? []) });
}
