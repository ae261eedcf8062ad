/** What the page runs: a tiny language model, and state of the other kinds of growth. */
import type { Tensor } from '../../../src/core/tensor.ts';
import { float32Tensor, int64Tensor, makeTensor } from '../../../src/core/tensor.ts';
import type { OnnxModel } from '../../../src/graph/onnx-types.ts';
import type { StateEntry } from '../../../src/package/manifest.ts';
import { intAttribute, intsAttribute, model, node, value, weight } from '../../fixtures/onnx-build.ts';
import { tinyLlama } from '../../fixtures/tiny-llama.ts';

export interface PageModel {
  readonly model: OnnxModel;
  readonly entries: readonly StateEntry[];
  /** Output to compare. */
  readonly output: string;
  /** All inputs but the state, for these numbers at this position. */
  feeds(position: number, values: readonly number[]): Record<string, Tensor>;
}

/** GroupQueryAttention over `shared` state; room for more than the smallest buffer. */
export async function languageModel(): Promise<PageModel> {
  const built = await tinyLlama('llama', { config: { contextLength: 600 } });
  const { kvHeads, headDim } = built.config;
  return {
    model: built.model,
    output: 'logits',
    entries: built.states.map(({ input, output, axis }) => ({
      input,
      output,
      origin: 'step',
      dtype: 'float32',
      dims: [1, kvHeads, null, headDim],
      block: 0,
      growth: built.growth,
      axis,
    })),
    feeds: (position, tokens) => {
      const total = position + tokens.length;
      return {
        input_ids: int64Tensor(tokens, [1, tokens.length]),
        seqlens_k: int32(total - 1, [1]),
        total_sequence_length: int32(total, []),
        picked_rows: int64Tensor([tokens.length - 1], [1]),
      };
    },
  };
}

/**
 * `y` is the sum of all rows seen (`append`), and what is left of the last ones (`replace`). `kept` is
 * handed on as it is.
 */
export function plainModel(): PageModel {
  const row = ['rows', 2] as const;
  const entry = (name: string, rest: Pick<StateEntry, 'growth' | 'dims' | 'axis'>): StateEntry => ({
    input: name,
    output: `${name}.next`,
    origin: 'step',
    dtype: 'float32',
    block: 0,
    ...rest,
  });
  return {
    output: 'y',
    entries: [
      entry('seen', { growth: 'append', dims: [null, 2], axis: 0 }),
      entry('trace', { growth: 'replace', dims: [1, 2] }),
      entry('kept', { growth: 'replace', dims: [1, 2] }),
    ],
    model: model({
      initializers: [weight('half', [], Float32Array.of(0.5))],
      nodes: [
        node('Concat', ['seen', 'x'], ['seen.next'], [intAttribute('axis', 0)]),
        node('ReduceMean', ['x'], ['mean'], [intsAttribute('axes', [0]), intAttribute('keepdims', 1)]),
        node('Mul', ['trace', 'half'], ['faded']),
        node('Add', ['faded', 'mean'], ['trace.next']),
        node('Identity', ['kept'], ['kept.next']),
        node('ReduceMax', ['seen.next'], ['most'], [intsAttribute('axes', [0]), intAttribute('keepdims', 1)]),
        node('Add', ['most', 'trace.next'], ['y']),
      ],
      inputs: [
        value('x', 'float32', row),
        value('seen', 'float32', ['past', 2]),
        value('trace', 'float32', [1, 2]),
        value('kept', 'float32', [1, 2]),
      ],
      outputs: [
        value('y', 'float32', [1, 2]),
        value('seen.next', 'float32', ['total', 2]),
        value('trace.next', 'float32', [1, 2]),
        value('kept.next', 'float32', [1, 2]),
      ],
    }),
    feeds: (_, values) => ({
      x: float32Tensor(Float32Array.from(values.flatMap((number) => [number, -3 * number])), [
        values.length,
        2,
      ]),
    }),
  };
}

function int32(number: number, dims: readonly number[]): Tensor {
  return makeTensor('int32', dims, new Uint8Array(Int32Array.of(number).buffer));
}
