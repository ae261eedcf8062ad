/** Dinic's maximum flow (E. A. Dinic, 1970) on a small graph with number capacities. */

interface Edge {
  readonly to: number;
  capacity: number;
  readonly back: number;
}

export class FlowNetwork {
  readonly #edges: Edge[][] = [];

  addVertex(): number {
    return this.#edges.push([]) - 1;
  }

  addEdge(from: number, to: number, capacity: number): void {
    const forward = this.#out(from);
    const backward = this.#out(to);
    forward.push({ to, capacity, back: backward.length });
    backward.push({ to: from, capacity: 0, back: forward.length - 1 });
  }

  /** The value of a maximum flow; leaves the residual capacities behind. `Infinity` when unbounded. */
  maximise(source: number, sink: number): number {
    let total = 0;
    for (;;) {
      const level = this.#levels(source);
      if ((level[sink] ?? -1) < 0) return total;
      const next = this.#edges.map(() => 0);
      for (let flow = this.#augment(source, sink, Infinity, level, next); flow > 0; ) {
        if (flow === Infinity) return Infinity;
        total += flow;
        flow = this.#augment(source, sink, Infinity, level, next);
      }
    }
  }

  /** Vertices from which the sink is still reachable: the far side of the cut nearest to the sink. */
  reaching(sink: number): Set<number> {
    const reached = new Set([sink]);
    const pending = [sink];
    for (let vertex = pending.pop(); vertex !== undefined; vertex = pending.pop()) {
      for (const edge of this.#out(vertex)) {
        const forward = this.#out(edge.to)[edge.back];
        if (forward === undefined || forward.capacity <= 0 || reached.has(edge.to)) continue;
        reached.add(edge.to);
        pending.push(edge.to);
      }
    }
    return reached;
  }

  #out(vertex: number): Edge[] {
    const edges = this.#edges[vertex];
    if (edges === undefined) throw new RangeError(`no vertex ${vertex}`);
    return edges;
  }

  #levels(source: number): number[] {
    const level = this.#edges.map(() => -1);
    level[source] = 0;
    const queue = [source];
    for (let head = 0; head < queue.length; head += 1) {
      const vertex = queue[head] ?? source;
      for (const edge of this.#out(vertex)) {
        if (edge.capacity <= 0 || level[edge.to] !== -1) continue;
        level[edge.to] = (level[vertex] ?? 0) + 1;
        queue.push(edge.to);
      }
    }
    return level;
  }

  #augment(vertex: number, sink: number, limit: number, level: number[], next: number[]): number {
    if (vertex === sink) return limit;
    const edges = this.#out(vertex);
    for (; (next[vertex] ?? 0) < edges.length; next[vertex] = (next[vertex] ?? 0) + 1) {
      const edge = edges[next[vertex] ?? 0];
      if (edge === undefined || edge.capacity <= 0 || level[edge.to] !== (level[vertex] ?? 0) + 1) continue;
      const flow = this.#augment(edge.to, sink, Math.min(limit, edge.capacity), level, next);
      if (flow <= 0) continue;
      edge.capacity -= flow;
      const back = this.#out(edge.to)[edge.back];
      if (back !== undefined) back.capacity += flow;
      return flow;
    }
    return 0;
  }
}
