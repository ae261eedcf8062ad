/**
 * What must be sent over a cut. Raw exports let shape, mask and rotary chains cross everywhere, so a
 * search for places where one tensor crosses finds nothing. Instead each value is either sent or
 * computed again on the far side, and the cheapest such choice is a minimum vertex cut: every path
 * from something that only the near side has to something that the far side needs must be sent
 * at one value.
 */
import { IsthmusError } from '../errors.ts';
import { FlowNetwork } from './max-flow.ts';
import type { ModelGraph } from './model-graph.ts';

export interface CrossingQuestion {
  readonly graph: ModelGraph;
  /** Nodes that run on the near side; all others run on the far side. */
  readonly near: ReadonlySet<number>;
  /** Values that the far side must end up with although the near side makes them. */
  readonly wanted: Iterable<string>;
  /** Cost of sending a value, in bytes; `Infinity` for what must not be sent. */
  readonly cost: (value: string) => number;
  /** True for nodes that are cheap enough to run on both sides. */
  readonly recomputable: (node: number) => boolean;
  /** True for values that the far side has anyway: weights, its own state and inputs. */
  readonly free: (value: string) => boolean;
}

export interface CrossingAnswer {
  /** Values to send, in name order. */
  readonly sent: readonly string[];
  /** Near values that the far side computes again. */
  readonly recomputed: readonly string[];
  /** Sum of the costs; `Infinity` when no cut is possible here. */
  readonly cost: number;
}

/** Nodes run by the far side that read something, and everything they read from the near side. */
function farNeeds(question: CrossingQuestion): Set<string> {
  const { graph, near, free } = question;
  const needs = new Set<string>();
  const isNear = (name: string): boolean => {
    if (free(name)) return false;
    const producer = graph.producer.get(name);
    return producer === undefined ? graph.inputs.has(name) : near.has(producer);
  };
  graph.reads.forEach((reads, node) => {
    if (near.has(node)) return;
    for (const name of reads) if (isNear(name)) needs.add(name);
  });
  for (const name of question.wanted) if (isNear(name)) needs.add(name);
  return needs;
}

export function solveCrossing(question: CrossingQuestion): CrossingAnswer {
  const { graph, cost, recomputable, free } = question;
  const network = new FlowNetwork();
  const source = network.addVertex();
  const sink = network.addVertex();
  const vertices = new Map<string, { readonly in: number; readonly out: number; readonly via: number }>();
  const pending: string[] = [];
  const vertexOf = (name: string) => {
    const known = vertices.get(name);
    if (known !== undefined) return known;
    const producer = graph.producer.get(name);
    const vertex = {
      in: network.addVertex(),
      out: network.addVertex(),
      via: producer !== undefined && recomputable(producer) ? producer : -1,
    };
    network.addEdge(vertex.in, vertex.out, cost(name));
    vertices.set(name, vertex);
    pending.push(name);
    return vertex;
  };
  for (const name of farNeeds(question)) network.addEdge(vertexOf(name).out, sink, Infinity);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const vertex = vertexOf(name);
    if (vertex.via < 0) {
      network.addEdge(source, vertex.in, Infinity);
      continue;
    }
    for (const read of graph.reads[vertex.via] ?? []) {
      if (!free(read)) network.addEdge(vertexOf(read).out, vertex.in, Infinity);
    }
  }
  const flow = network.maximise(source, sink);
  if (flow === Infinity) return { sent: [], recomputed: [], cost: Infinity };
  const far = network.reaching(sink);
  const sent = [...vertices].filter(([, v]) => far.has(v.out) && !far.has(v.in)).map(([name]) => name);
  return { sent: sent.sort(), recomputed: recomputedBy(question, new Set(sent)), cost: flow };
}

/** Near values that the far side makes again when it is given `sent`. */
function recomputedBy(question: CrossingQuestion, sent: ReadonlySet<string>): string[] {
  const { graph, free } = question;
  const made = new Set<string>();
  const pending = [...farNeeds(question)];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (sent.has(name) || made.has(name) || free(name)) continue;
    const producer = graph.producer.get(name);
    if (producer === undefined) {
      throw new IsthmusError('internal', `the value '${name}' is neither sent nor computable`);
    }
    made.add(name);
    pending.push(...(graph.reads[producer] ?? []));
  }
  return [...made].sort();
}
