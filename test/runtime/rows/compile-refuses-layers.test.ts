/** A graph that differs in one thing from what the kernels do is refused by the operator’s name: attention, gates and mixing. */
import { beforeAll, expect, it } from 'vitest';
import type { OnnxModel } from '../../../src/graph/onnx-types.ts';
import type { LoopStage } from '../../../src/package/manifest.ts';
import { compileRows } from '../../../src/runtime/rows/compile.ts';
import {
  type Alter,
  attributes,
  both,
  constant,
  input,
  longs,
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

const GQA = 'blk.0.attended.padded';
const QKV = 'blk.0.attn_qkv';

const ALTERED: readonly (readonly [operator: string, what: string, alter: Alter])[] = [
  ['Concat', 'along another axis', attributes(`${QKV}.padded`, { axis: 2 })],
  ['Concat', 'of two rows', input(`${QKV}.padded`, 1, constant(new Float32Array(256), [1, 2, 128]))],
  ['Concat', 'of a third', input(`${QKV}.padded`, 2, constant(new Float32Array(128), [1, 1, 128]))],
  ['GroupQueryAttention', 'that turns neighbours', attributes(GQA, { rotary_interleaved: 1 })],
  ['GroupQueryAttention', 'that turns nothing', attributes(GQA, { do_rotary: 0 })],
  ['GroupQueryAttention', 'that does not say whether it turns', attributes(GQA, { do_rotary: undefined })],
  ['GroupQueryAttention', 'in a window', attributes(GQA, { local_window_size: 128 })],
  ['GroupQueryAttention', 'in a window that is no window', attributes(GQA, { local_window_size: -1 })],
  ['GroupQueryAttention', 'with a cap', attributes(GQA, { softcap: { float: 30 } })],
  ['GroupQueryAttention', 'with a scale of its own', attributes(GQA, { scale: { float: 1 } })],
  ['GroupQueryAttention', 'with a smooth softmax', attributes(GQA, { smooth_softmax: 1 })],
  ['GroupQueryAttention', 'of other heads', attributes(GQA, { num_heads: 5 })],
  ['GroupQueryAttention', 'of no heads', attributes(GQA, { kv_num_heads: 0 })],
  ['GroupQueryAttention', 'with keys apart', input(GQA, 1, `${QKV}.out`)],
  ['GroupQueryAttention', 'with a bias', input(GQA, 10, one(0))],
  ['GroupQueryAttention', 'with a sink that draws', input(GQA, 11, constant(new Float32Array(4)))],
  [
    'GroupQueryAttention',
    'with a sink for other heads',
    input(GQA, 11, constant(new Float32Array(3).fill(-1e30))),
  ],
  ['GroupQueryAttention', 'over no state', input(GQA, 3, 'rope.cos')],
  ['GroupQueryAttention', 'over the keys of another layer', input(GQA, 3, 'past_key_values.1.key')],
  [
    'GroupQueryAttention',
    'over values as keys',
    both(input(GQA, 3, 'past_key_values.0.value'), input(GQA, 4, 'past_key_values.0.key')),
  ],
  ['GroupQueryAttention', 'of rows without padding', input(GQA, 0, `${QKV}.biased`)],
  [
    'GroupQueryAttention',
    'with sines of another shape',
    input(GQA, 8, constant(new Float32Array(8), [1, 8])),
  ],
  [
    'GroupQueryAttention',
    'that turns more than a head',
    both(input(GQA, 7, constant(new Float32Array(64), [2, 32]))),
  ],
  ['Slice', 'of more than the padding', input('blk.0.attended', 2, longs(-2))],
  ['Slice', 'along another axis', input('blk.0.attended', 3, longs(2))],
  ['Slice', 'of every other row', input('blk.0.attended', 4, longs(2))],
  [
    'Slice',
    'along two axes',
    both(...[0, -1, 1].map((from, at) => input('blk.0.attended', at + 1, longs(from, at)))),
  ],
  ['Slice', 'of rows', input('blk.0.attended', 0, `${QKV}.out`)],
  // The feed-forward part.
  ['Split', 'along another axis', attributes('blk.0.gate', { axis: 1 })],
  ['Split', 'in parts of given sizes', input('blk.0.gate', 1, longs(100, 92))],
  [
    'Split',
    'in parts that are not whole vectors',
    outputs(
      'blk.0.gate',
      Array.from({ length: 64 }, (_, at) => `part.${at}`),
    ),
  ],
  ['QuickGelu', 'of whole rows', input('blk.0.active', 0, 'blk.0.ffn_gate_up.out')],
  ['Mul', 'of a gate with itself', input('blk.0.gated', 1, 'blk.0.active')],
  ['Mul', 'of the rows by a number', input('blk.0.gated', 0, one(2))],
  ['Reshape', 'to two extents', input('blk.0.gated.groups', 1, longs(-1, 96))],
  ['Reshape', 'to groups that do not fit', input('blk.0.gated.groups', 1, longs(1, -1, 36))],
  ['Reshape', 'to a table that does not fit', input('turn.table_in', 1, longs(-1, 8, 8))],
  ['Reshape', 'to the shape of something', input('blk.0.gated.groups', 1, 'input_ids')],
  [
    'MatMul',
    'by a matrix that is not square',
    input('blk.0.gated.spread', 1, constant(new Float32Array(64), [32, 2])),
  ],
  ['MatMul', 'of rows with rows', input('blk.0.gated.spread', 1, 'blk.0.gated.groups')],
  [
    'MatMul',
    'by a matrix in 8 bits',
    input('blk.0.gated.spread', 1, constant(new Int8Array(1024), [32, 32])),
  ],
  ['Mul', 'by a vector of another width', input('turn.scaled', 1, constant(new Float32Array(16)))],
];

it.each(ALTERED)('refuses %s %s', (operator, _, alter) => {
  const made = compileRows(alter(model), stage);
  const refused = 'refused' in made ? made.refused : 'nothing: it is a program';
  expect(refused).toMatch(new RegExp(`^${operator} `));
});
