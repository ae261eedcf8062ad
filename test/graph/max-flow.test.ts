import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowNetwork } from '../../src/graph/max-flow.ts';

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly capacity: number;
}

/** Vertex 0 is the source, 1 the sink. */
const VERTICES = 6;

const edges: fc.Arbitrary<Edge[]> = fc.array(
  fc.record({
    from: fc.nat(VERTICES - 1),
    to: fc.nat(VERTICES - 1),
    capacity: fc.oneof(fc.nat(20), fc.constant(Number.POSITIVE_INFINITY)),
  }),
  { maxLength: 18 },
);

function network(list: readonly Edge[]): FlowNetwork {
  const flow = new FlowNetwork();
  for (let vertex = 0; vertex < VERTICES; vertex += 1) flow.addVertex();
  for (const { from, to, capacity } of list) flow.addEdge(from, to, capacity);
  return flow;
}

/** Capacity from a set of vertices, a bit each, to the rest. */
function cutCapacity(list: readonly Edge[], side: number): number {
  const isIn = (vertex: number): boolean => (side & (1 << vertex)) !== 0;
  return list.reduce((sum, { from, to, capacity }) => sum + (isIn(from) && !isIn(to) ? capacity : 0), 0);
}

/** Every set of vertices that holds the source and not the sink. */
const sides = Array.from({ length: 1 << VERTICES }, (_, side) => side).filter(
  (side) => (side & 1) !== 0 && (side & 2) === 0,
);

describe('maximum flow', () => {
  it('equals the smallest of all cuts', () => {
    fc.assert(
      fc.property(edges, (list) => {
        const smallest = Math.min(...sides.map((side) => cutCapacity(list, side)));
        expect(network(list).maximise(0, 1)).toBe(smallest);
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves the smallest cut that lies nearest to the sink', () => {
    fc.assert(
      fc.property(edges, (list) => {
        const flow = network(list);
        const value = flow.maximise(0, 1);
        fc.pre(value < Number.POSITIVE_INFINITY);
        const far = flow.reaching(1);
        expect(far.has(0)).toBe(false);
        let near = 0;
        for (let vertex = 0; vertex < VERTICES; vertex += 1) if (!far.has(vertex)) near |= 1 << vertex;
        expect(cutCapacity(list, near)).toBe(value);
        // Every other smallest cut leaves at least these vertices to the sink's side.
        for (const side of sides) {
          if (cutCapacity(list, side) === value) expect(side & ~near).toBe(0);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is nothing between vertices that are not joined', () => {
    expect(network([{ from: 1, to: 0, capacity: 5 }]).maximise(0, 1)).toBe(0);
  });

  it('refuses a vertex that was never added', () => {
    expect(() => new FlowNetwork().addEdge(0, 1, 1)).toThrow(RangeError);
  });
});
