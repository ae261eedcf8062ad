/** A flat graph with the lookups that cut search and composition need. Pure and immutable. */
import { IsthmusError } from '../errors.ts';
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './onnx-types.ts';

export interface ModelGraph {
  readonly model: OnnxModel;
  readonly nodes: readonly OnnxNode[];
  readonly inputs: ReadonlyMap<string, OnnxValue>;
  readonly outputs: ReadonlyMap<string, OnnxValue>;
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  /** Index of the node that produces a value. */
  readonly producer: ReadonlyMap<string, number>;
  /** What each node reads: its inputs and, for nodes with sub-graphs, the outer values used there. */
  readonly reads: readonly (readonly string[])[];
}

export function toModelGraph(model: OnnxModel): ModelGraph {
  const { graph } = model;
  if (graph.hasSparse) {
    throw new IsthmusError('unsupported-model', 'sparse weights are not supported; export them dense');
  }
  const initializers = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const given = new Set(graph.inputs.map((value) => value.name));
  const producer = new Map<string, number>();
  graph.nodes.forEach((node, index) => {
    for (const output of node.outputs) {
      if (output === '') continue;
      if (producer.has(output)) {
        throw new IsthmusError('bad-model', `two nodes produce the value '${output}'`);
      }
      if (initializers.has(output) || given.has(output)) {
        throw new IsthmusError('bad-model', `the value '${output}' is given and produced by a node too`);
      }
      producer.set(output, index);
    }
  });
  return {
    model,
    nodes: graph.nodes,
    // Older files list weights among the inputs; a weight is no input.
    inputs: new Map(graph.inputs.filter((v) => !initializers.has(v.name)).map((v) => [v.name, v])),
    outputs: new Map(graph.outputs.map((value) => [value.name, value])),
    initializers,
    producer,
    reads: graph.nodes.map((node) => [...new Set(readsOf(node))]),
  };
}

function readsOf(node: OnnxNode): string[] {
  const reads = node.inputs.filter((name) => name !== '');
  for (const attribute of node.attributes) {
    for (const { graph } of attribute.graphs) reads.push(...freeValues(graph));
  }
  return reads;
}

/** Values that a sub-graph takes from the graphs around it. */
export function freeValues(graph: OnnxGraph): string[] {
  const own = new Set<string>();
  for (const value of graph.inputs) own.add(value.name);
  for (const tensor of graph.initializers) own.add(tensor.name);
  const free = new Set<string>();
  for (const node of graph.nodes) {
    for (const name of readsOf(node)) if (!own.has(name)) free.add(name);
    for (const output of node.outputs) own.add(output);
  }
  for (const output of graph.outputs) if (!own.has(output.name)) free.add(output.name);
  return [...free];
}

/** The same model with other contents of its graph. */
export function withGraph(model: OnnxModel, change: Partial<OnnxGraph>): OnnxModel {
  return { ...model, graph: { ...model.graph, ...change } };
}

/**
 * Nodes needed for `targets`, in the graph's order, when the values in `given` are at hand. Also
 * which inputs and initializers they read. Throws `bad-model` for a value that nothing provides.
 */
export function closure(
  graph: ModelGraph,
  targets: Iterable<string>,
  given: ReadonlySet<string> = new Set(),
): {
  readonly nodes: readonly number[];
  readonly inputs: ReadonlySet<string>;
  readonly weights: ReadonlySet<string>;
} {
  const needed = new Set<number>();
  const inputs = new Set<string>();
  const weights = new Set<string>();
  const pending = [...targets];
  const seen = new Set<string>();
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    if (given.has(name)) {
      inputs.add(name);
      continue;
    }
    const producer = graph.producer.get(name);
    if (producer !== undefined) {
      needed.add(producer);
      pending.push(...(graph.reads[producer] ?? []));
    } else if (graph.initializers.has(name)) weights.add(name);
    else if (graph.inputs.has(name)) inputs.add(name);
    else throw new IsthmusError('bad-model', `nothing in the graph provides the value '${name}'`);
  }
  return { nodes: [...needed].sort((a, b) => a - b), inputs, weights };
}

/** Drops everything that the outputs do not need. */
export function prune(model: OnnxModel, outputs: readonly OnnxValue[] = model.graph.outputs): OnnxModel {
  const graph = toModelGraph(model);
  const needed = closure(
    graph,
    outputs.map((output) => output.name),
  );
  return withGraph(model, {
    nodes: needed.nodes.flatMap((index) => graph.nodes[index] ?? []),
    initializers: model.graph.initializers.filter((tensor) => needed.weights.has(tensor.name)),
    inputs: model.graph.inputs.filter((value) => needed.inputs.has(value.name)),
    outputs,
  });
}
