/** Integer sums must be the same on every machine: on some, native kernels saturate unless told not to. */
import { expect, it } from 'vitest';
import { asFloat32, float32Tensor } from '../../../src/core/tensor.ts';
import { GraphParts, graphValue, ORT_DOMAIN } from '../../../src/package/gguf/build-graph.ts';
import { product, quantiseRows } from '../../../src/package/gguf/build-product.ts';
import { nodeProber } from '../../../src/runtime/node/ort-node.ts';

it('sums the largest activations and weights without saturating', async () => {
  const inner = 64;
  const weights = Int8Array.from({ length: inner * 4 }, (_, index) => [127, -127, 64, 1][index % 4] ?? 0);
  const parts = new GraphParts();
  parts.constant('w', [inner, 4], () => weights);
  parts.constant('s', [4], () => new Float32Array(4).fill(1));
  product(parts, quantiseRows(parts, 'x', 'q'), { data: 'w', scales: 's' }, 'y');
  const { y } = await nodeProber(
    {
      irVersion: 8,
      opsets: [
        { domain: '', version: 17 },
        { domain: ORT_DOMAIN, version: 1 },
      ],
      graph: {
        name: 'product',
        nodes: parts.nodes,
        initializers: [...parts.initializers.values()],
        inputs: [graphValue('x', 'float32', [1, 'rows', inner])],
        outputs: [graphValue('y', 'float32', [1, 'rows', 4])],
        hasSparse: false,
      },
      rest: [],
    },
    { x: float32Tensor(new Float32Array(inner).fill(1), [1, 1, inner]) },
    ['y'],
  );
  expect(y && [...asFloat32(y)]).toEqual([8128, -8128, 4096, 64]);
});
