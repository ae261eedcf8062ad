/** A graph that differs in one thing from what the kernels do is refused by the operator’s name: embedding, rows and products. */
import { beforeAll, expect, it } from 'vitest';
import type { OnnxModel } from '../../../src/graph/onnx-types.ts';
import type { LoopStage } from '../../../src/package/manifest.ts';
import { compileRows } from '../../../src/runtime/rows/compile.ts';
import {
  type Alter,
  added,
  attributes,
  both,
  constant,
  input,
  longs,
  node,
  one,
  outputs,
} from '../../fixtures/altered-graph.ts';
import { handCutPackage, stageOf } from '../../fixtures/rows.ts';

let model: OnnxModel;
let stage: LoopStage;

beforeAll(async () => {
  const pkg = await handCutPackage('qwen2', { layers: 2, tiedHead: true, hidden: 80 });
  model = pkg.built.model;
  stage = stageOf(pkg);
});

const QKV = 'blk.0.attn_qkv';

const ALTERED: readonly (readonly [operator: string, what: string, alter: Alter])[] = [
  ['Sigmoid', 'an operator that there is no kernel for', node('blk.0.active', () => ({ opType: 'Sigmoid' }))],
  // Embedding.
  ['Gather', 'along the other axis', attributes('embed.columns', { axis: 0 })],
  ['Gather', 'of scales along an axis that they lack', attributes('embed.scales', { axis: 1 })],
  ['Gather', 'of a table in float32', input('embed.columns', 0, constant(new Float32Array(320), [80, 4]))],
  ['Gather', 'of picked rows along the batch', attributes('head.rows', { axis: 0 })],
  [
    'Gather',
    'of rows that were picked already',
    both(
      added('head.normed', 'head.rows', {
        opType: 'Gather',
        inputs: ['head.normed', 'picked_rows'],
        output: 'again',
      }),
      input('turn.table_in', 0, 'again'),
    ),
  ],
  ['Transpose', 'in another order', attributes('embed.turned', { perm: [2, 1, 0] })],
  ['Transpose', 'in the order that is its default', attributes('embed.turned', { perm: undefined })],
  ['Cast', 'to float16', attributes('embed.values', { to: 10 })],
  ['Cast', 'of rows', input('embed.values', 0, 'blk.0.normed')],
  ['Unsqueeze', 'along another axis', input('embed.scale', 1, longs(0))],
  ['Unsqueeze', 'of rows', input('embed.scale', 0, 'input_ids')],
  ['Mul', 'of codes alone', input('embed.residual', 1, one(2))],
  // Rows.
  ['SimplifiedLayerNormalization', 'along another axis', attributes('blk.0.normed', { axis: 1 })],
  [
    'SimplifiedLayerNormalization',
    'with a gain of another width',
    input('blk.0.normed', 1, constant(new Float32Array(40))),
  ],
  [
    'SkipSimplifiedLayerNormalization',
    'with a bias',
    input('blk.0.ffn_normed', 3, constant(new Float32Array(80))),
  ],
  [
    'SkipSimplifiedLayerNormalization',
    'with its mean',
    outputs('blk.0.ffn_normed', ['blk.0.ffn_normed', 'mean', '', 'blk.0.attn_residual']),
  ],
  ['SkipSimplifiedLayerNormalization', 'of rows of two widths', input('blk.0.ffn_normed', 1, `${QKV}.out`)],
  ['Add', 'of a bias of another width', input(`${QKV}.biased`, 1, constant(new Float32Array(4)))],
  ['Add', 'of rows of two widths', input('blk.0.residual', 1, `${QKV}.out`)],
  [
    'Add',
    'of all rows and those that are picked',
    both(
      added('head.rows', 'blk.0.residual', {
        opType: 'Add',
        inputs: ['head.rows', 'blk.0.residual'],
        output: 'more',
      }),
      input('head.normed', 0, 'more'),
    ),
  ],
  ['Add', 'of positions and what is not known', input('attn.last', 1, 'input_ids')],
  [
    'Add',
    'of positions and another number than the padding has rows',
    input('attn.last', 1, constant(BigInt64Array.of(3n), [])),
  ],
  // Rows in 8 bits.
  ['Abs', 'of no rows', input(`${QKV}.in.abs`, 0, 'input_ids')],
  ['ReduceMax', 'along another axis', attributes(`${QKV}.in.max`, { axes: [1] })],
  ['ReduceMax', 'that drops its axis', attributes(`${QKV}.in.max`, { keepdims: 0 })],
  ['ReduceMax', 'of everything', attributes(`${QKV}.in.max`, { axes: undefined })],
  ['Max', 'of three', input(`${QKV}.in.largest`, 2, one(1))],
  ['Max', 'with a row of numbers', input(`${QKV}.in.largest`, 1, constant(Float32Array.of(1, 2)))],
  ['Div', 'by the size of other rows', input('blk.0.ffn_down.in.scaled', 1, `${QKV}.in.largest`)],
  ['Div', 'by a number', input(`${QKV}.in.scaled`, 1, one(3))],
  ['QuantizeLinear', 'round another zero', input(`${QKV}.in.u8`, 2, constant(Uint8Array.of(127), []))],
  ['QuantizeLinear', 'to int8', input(`${QKV}.in.u8`, 2, constant(Int8Array.of(0), []))],
  ['QuantizeLinear', 'in steps of each element', input(`${QKV}.in.u8`, 1, constant(new Float32Array(80)))],
  [
    'QuantizeLinear',
    'in steps so small that the largest numbers do not fit in 8 bits',
    both(input(`${QKV}.in.u8`, 1, one(1 / 255)), input(`${QKV}.out.sums`, 2, one(1 / 255))),
  ],
  [
    'QuantizeLinear',
    'without its zero',
    node(`${QKV}.in.u8`, ({ inputs }) => ({ inputs: inputs.slice(0, 2) })),
  ],
  ['MatMulIntegerToFloat', 'in another step', input(`${QKV}.out.sums`, 2, one(1 / 255))],
  ['MatMulIntegerToFloat', 'round another zero', input(`${QKV}.out.sums`, 4, constant(Uint8Array.of(0), []))],
  [
    'MatMulIntegerToFloat',
    'with a zero of its weights',
    input(`${QKV}.out.sums`, 5, constant(Int8Array.of(1), [])),
  ],
  ['MatMulIntegerToFloat', 'with a bias', input(`${QKV}.out.sums`, 6, constant(new Float32Array(128)))],
  ['MatMulIntegerToFloat', 'with one scale for all', input(`${QKV}.out.sums`, 3, one(0.1))],
  [
    'MatMulIntegerToFloat',
    'of unsigned weights',
    input(`${QKV}.out.sums`, 1, constant(new Uint8Array(80 * 128), [80, 128])),
  ],
  [
    'MatMulIntegerToFloat',
    'of weights of another height',
    input(`${QKV}.out.sums`, 1, constant(new Int8Array(128), [1, 128])),
  ],
  ['Mul', 'by the size of other rows', input('blk.0.ffn_down.out', 1, `${QKV}.in.largest`)],
];

it.each(ALTERED)('refuses %s %s', (operator, _, alter) => {
  const made = compileRows(alter(model), stage);
  const refused = 'refused' in made ? made.refused : 'nothing: it is a program';
  expect(refused).toMatch(new RegExp(`^${operator} `));
});

it('takes the graph as it was written', () => {
  expect(compileRows(model, stage)).not.toHaveProperty('refused');
});
