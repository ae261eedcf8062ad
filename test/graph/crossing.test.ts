/** The crossing that the flow finds, beside the cheapest of all choices tried one by one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CrossingQuestion, solveCrossing } from '../../src/graph/crossing.ts';
import { type ModelGraph, toModelGraph } from '../../src/graph/model-graph.ts';
import { model, node, value } from '../fixtures/onnx-build.ts';

interface Dag {
  readonly graph: ModelGraph;
  readonly near: number;
  readonly costs: Readonly<Record<string, number>>;
  readonly cheap: readonly boolean[];
  readonly free: ReadonlySet<string>;
  readonly wanted: readonly string[];
}

const INPUTS = 2;

/** Nodes `n0..` each read up to three of what comes before them; inputs are `i0`, `i1`. */
const dags: fc.Arbitrary<Dag> = fc
  .record({
    reads: fc.array(fc.array(fc.nat(1000), { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 7 }),
    near: fc.nat(100),
    costs: fc.array(
      fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 1, max: 30 }) },
        { weight: 1, arbitrary: fc.constant(Infinity) },
      ),
      {
        minLength: 9,
        maxLength: 9,
      },
    ),
    cheap: fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
    free: fc.nat(INPUTS),
    wanted: fc.array(fc.nat(6), { maxLength: 2 }),
  })
  .map(({ reads, near, costs, cheap, free, wanted }) => {
    const names = Array.from({ length: INPUTS }, (_, index) => `i${index}`);
    const nodes = reads.map((picks, index) => {
      const inputs = [...new Set(picks.map((pick) => names[pick % names.length] ?? 'i0'))];
      names.push(`n${index}`);
      return node('Op', inputs, [`n${index}`]);
    });
    const inputs = [0, 1].map((index) => value(`i${index}`, 'float32', [1]));
    return {
      graph: toModelGraph(model({ nodes, inputs })),
      near: near % (nodes.length + 1),
      costs: Object.fromEntries(names.map((name, index) => [name, costs[index] ?? 1])),
      cheap,
      free: new Set(free < INPUTS ? [`i${free}`] : []),
      wanted: wanted.filter((index) => index < nodes.length).map((index) => `n${index}`),
    };
  });

function question({ graph, near, costs, cheap, free, wanted }: Dag): CrossingQuestion {
  return {
    graph,
    near: new Set(Array.from({ length: near }, (_, index) => index)),
    wanted,
    cost: (name) => costs[name] ?? Infinity,
    recomputable: (index) => cheap[index] ?? false,
    free: (name) => free.has(name),
  };
}

/** Whether the far side can make all that it needs when it is given `sent`. */
function suffices(dag: Dag, sent: ReadonlySet<string>): boolean {
  const { graph, near, cheap, free, wanted } = dag;
  const have = new Map<string, boolean>();
  const canHave = (name: string): boolean => {
    const known = have.get(name);
    if (known !== undefined) return known;
    const producer = graph.producer.get(name);
    let answer = sent.has(name) || free.has(name);
    if (!answer && producer !== undefined && (producer >= near || (cheap[producer] ?? false))) {
      answer = (graph.reads[producer] ?? []).every(canHave);
    }
    have.set(name, answer);
    return answer;
  };
  const farNodes = graph.nodes.filter((_, index) => index >= near);
  return [...farNodes.flatMap((far) => far.inputs), ...wanted].every(canHave);
}

function cheapest(dag: Dag): number {
  const names = [...dag.graph.inputs.keys(), ...[...dag.graph.producer.keys()].slice(0, dag.near)];
  let best = Infinity;
  for (let choice = 0; choice < 1 << names.length; choice += 1) {
    const sent = names.filter((_, index) => (choice & (1 << index)) !== 0);
    const cost = sent.reduce((sum, name) => sum + (dag.costs[name] ?? Infinity), 0);
    if (cost < best && suffices(dag, new Set(sent))) best = cost;
  }
  return best;
}

describe('a crossing', () => {
  it('costs as little as any choice that gives the far side what it needs', () => {
    fc.assert(
      fc.property(dags, (dag) => {
        const answer = solveCrossing(question(dag));
        expect(answer.cost).toBe(cheapest(dag));
        if (answer.cost === Infinity) return;
        const total = answer.sent.reduce((sum, name) => sum + (dag.costs[name] ?? Infinity), 0);
        expect(total).toBe(answer.cost);
        expect(suffices(dag, new Set(answer.sent))).toBe(true);
        for (const name of answer.recomputed) {
          expect(dag.cheap[dag.graph.producer.get(name) ?? -1]).toBe(true);
          expect(answer.sent).not.toContain(name);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('sends a small source instead of the large table that derives from it', () => {
    const graph = toModelGraph(
      model({
        nodes: [
          node('Range', ['length'], ['positions']),
          node('MatMul', ['x', 'w'], ['hidden']),
          node('Add', ['hidden', 'positions'], ['y']),
        ],
        inputs: [value('length', 'int64', []), value('x', 'float32', [1]), value('w', 'float32', [1])],
      }),
    );
    const sizes: Record<string, number> = { length: 8, positions: 4000, hidden: 100, x: Infinity };
    const answer = solveCrossing({
      graph,
      near: new Set([0, 1]),
      wanted: [],
      cost: (name) => sizes[name] ?? Infinity,
      recomputable: (index) => index === 0,
      free: (name) => name === 'w',
    });
    expect(answer).toEqual({ sent: ['hidden', 'length'], recomputed: ['positions'], cost: 108 });
  });
});
