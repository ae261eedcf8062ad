/** The tensors that a model of the llama family has, by GGUF's names, with their shapes. */
import { IsthmusError } from '../../errors.ts';
import type { LlamaConfig } from './llama-config.ts';
import type { GgufTensor } from './read-tensors.ts';

type Shapes = Readonly<Record<string, readonly number[]>>;

/** Row-major: matrices are `[out, in]`. */
function expectedTensors(config: LlamaConfig): Shapes {
  const { hidden, ffn, vocabulary, heads, kvHeads, headDim } = config;
  const queries = heads * headDim;
  const keys = kvHeads * headDim;
  const shapes: Record<string, readonly number[]> = {
    'token_embd.weight': [vocabulary, hidden],
    'output_norm.weight': [hidden],
  };
  if (!config.tiedHead) shapes['output.weight'] = [vocabulary, hidden];
  for (let layer = 0; layer < config.layers; layer += 1) {
    const add = (name: string, shape: readonly number[]) => {
      shapes[`blk.${layer}.${name}`] = shape;
    };
    add('attn_norm.weight', [hidden]);
    add('attn_q.weight', [queries, hidden]);
    add('attn_k.weight', [keys, hidden]);
    add('attn_v.weight', [keys, hidden]);
    if (config.qkvBias) {
      add('attn_q.bias', [queries]);
      add('attn_k.bias', [keys]);
      add('attn_v.bias', [keys]);
    }
    add('attn_output.weight', [hidden, queries]);
    add('ffn_norm.weight', [hidden]);
    add('ffn_gate.weight', [ffn, hidden]);
    add('ffn_up.weight', [ffn, hidden]);
    add('ffn_down.weight', [hidden, ffn]);
  }
  return shapes;
}

/**
 * Throws `bad-model` for a tensor that is missing or of another shape, `unsupported-model` for one that is
 * neither expected nor in `optional`: to leave it out would change the model.
 */
export function checkTensors(
  config: LlamaConfig,
  tensors: ReadonlyMap<string, GgufTensor>,
  optional: Shapes,
): void {
  const expected = expectedTensors(config);
  for (const [name, shape] of Object.entries(expected)) checkShape(name, shape, tensors.get(name));
  for (const [name, tensor] of tensors) {
    if (Object.hasOwn(expected, name)) continue;
    const shape = Object.hasOwn(optional, name) ? optional[name] : undefined;
    if (shape === undefined) {
      throw new IsthmusError('unsupported-model', `the GGUF has a tensor ${name}, which is not supported`, {
        details: { tensor: name },
      });
    }
    checkShape(name, shape, tensor);
  }
}

function checkShape(name: string, shape: readonly number[], tensor: GgufTensor | undefined): void {
  if (tensor === undefined) {
    throw new IsthmusError('bad-model', `the GGUF has no tensor ${name}`, { details: { tensor: name } });
  }
  if (tensor.dims.length === shape.length && tensor.dims.every((dim, axis) => dim === shape[axis])) return;
  throw new IsthmusError(
    'bad-model',
    `the GGUF's tensor ${name} is [${tensor.dims.join(', ')}]; by its metadata it would be [${shape.join(', ')}]`,
    { details: { tensor: name, dims: tensor.dims, expected: shape } },
  );
}
