/** Weights are handed to the runtime once, whole, and nothing else is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OnnxModel } from '../../src/graph/onnx-types.ts';
import { mountWeights } from '../../src/runtime/browser/resident-weights.ts';
import { model, node } from '../fixtures/onnx-build.ts';

interface Range {
  readonly path: string;
  readonly offset: number;
  readonly length?: number;
}

function modelOver(ranges: readonly Range[]): OnnxModel {
  return model({
    initializers: ranges.map(({ path, offset, length }, index) => ({
      name: `w${index}`,
      dataType: 2,
      dims: [],
      external: { location: path, offset, ...(length === undefined ? {} : { length }) },
      rest: [],
    })),
  });
}

function bytes(count: number, start: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => (start + index) % 251);
}

describe('mounted weights', () => {
  it('are what the shards hold, in whatever order they are asked for', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 199 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(cuts, cuts, fc.infiniteStream(fc.nat()), (first, second, order) => {
        const shards = { a: bytes(200, 3), b: bytes(200, 90) };
        const ranges = [...pieces('a', first, 200), ...pieces('b', second, 200)];
        const kept = { a: shards.a.slice(), b: shards.b.slice() };
        const mounted = mountWeights(modelOver(ranges), [
          { path: 'a', data: shards.a },
          { path: 'b', data: shards.b },
        ]);
        const left = [...ranges];
        while (left.length > 0) {
          const [range] = left.splice((order.next().value ?? 0) % left.length, 1);
          const { path, offset, length } = range ?? { path: 'a', offset: 0, length: 0 };
          const file = mounted.files.find((entry) => entry.path === path)?.file;
          const end = offset + (length ?? 0);
          const whole = path === 'a' ? kept.a : kept.b;
          expect(file?.byteLength).toBe(200);
          expect(file?.subarray(offset, end)).toEqual(whole.subarray(offset, end));
        }
        mounted.close();
      }),
    );
  });

  it('two weights may be the same bytes, and one may reach to the end', () => {
    const mounted = mountWeights(
      modelOver([
        { path: 'a', offset: 2, length: 4 },
        { path: 'a', offset: 2, length: 4 },
        { path: 'a', offset: 6 },
      ]),
      [{ path: 'a', data: bytes(10, 0) }],
    );
    const file = mounted.files[0]?.file;
    expect(file?.subarray(2, 6)).toEqual(bytes(4, 2));
    expect(file?.subarray(6, 10)).toEqual(bytes(4, 6));
    expect(file?.subarray(2, 6)).toEqual(bytes(4, 2));
    expect(() => file?.subarray(2, 6)).toThrow(expect.objectContaining({ code: 'internal' }));
  });

  it('stay for operators that may read them again, and where a constant is computed from them', () => {
    const range = (offset: number): Range => ({ path: 'a', offset, length: 2 });
    const plain = modelOver([0, 2, 4, 6].map(range));
    const withNodes: OnnxModel = {
      ...plain,
      graph: {
        ...plain.graph,
        nodes: [
          node('Gather', ['w0', 'tokens'], ['embedded']),
          node('Gather', ['w1', 'tokens'], ['other']),
          node('Transpose', ['w1'], ['turned']),
          node('Constant', [], ['index']),
          node('Gather', ['w2', 'index'], ['picked']),
          node('MatMul', ['embedded', 'w3'], ['y']),
        ],
      },
    };
    const mounted = mountWeights(withNodes, [{ path: 'a', data: bytes(8, 0) }]);
    const file = mounted.files[0]?.file;
    const reads = (offset: number): number => {
      for (let count = 0; count < 3; count += 1) {
        try {
          file?.subarray(offset, offset + 2);
        } catch {
          return count;
        }
      }
      return 3;
    };
    expect([0, 2, 4, 6].map(reads)).toEqual([1, 3, 3, 3]);
  });

  it('what the model does not name is not handed out', () => {
    const mounted = mountWeights(modelOver([{ path: 'a', offset: 0, length: 4 }]), [
      { path: 'a', data: bytes(10, 0) },
    ]);
    expect(() => mounted.files[0]?.file.subarray(4, 8)).toThrow(
      expect.objectContaining({ code: 'internal' }),
    );
  });

  it('a weight beyond its shard is refused', () => {
    const beyond = modelOver([{ path: 'a', offset: 8, length: 4 }]);
    expect(() => mountWeights(beyond, [{ path: 'a', data: bytes(10, 0) }])).toThrow(
      expect.objectContaining({ code: 'run-failed' }),
    );
  });
});

/** A shard of `total` bytes, cut at these places. */
function pieces(path: string, cuts: readonly number[], total: number): Range[] {
  const bounds = [0, ...cuts.toSorted((left, right) => left - right), total];
  return bounds.slice(1).map((to, index) => {
    const offset = bounds[index] ?? 0;
    return { path, offset, length: to - offset };
  });
}
