/** Attention over state in the form that `build-layer.ts` writes: a row of padding behind the others, and a sink. */
import type { OnnxNode } from '../../graph/onnx-types.ts';
import { intOf } from './attributes.ts';
import { floats, type Reading, refuse } from './reading.ts';

/** Inputs of GroupQueryAttention, by their place. */
const PAST_KEY = 3;
const PAST_VALUE = 4;
const LAST = 5;
const TOTAL = 6;
const COS = 7;
const SIN = 8;
const SINK = 11;

/** As `build-llama.ts` puts behind those of a run. */
export const PADDING_ROWS = 1;

/** Beside any score its share is zero. */
const NO_SINK = -1e20;

/** Only results of rows before the padding are ever read, and those do not see it. */
export function readConcat(reading: Reading, node: OnnxNode): void {
  if (intOf(node, 'axis') !== 1 || node.inputs.length !== 2) refuse(node, 'not a row behind rows');
  const rows = reading.plain(node, 0);
  const { dims } = reading.constant(node, 1);
  if (dims.length !== 3 || dims[0] !== 1 || dims[1] !== 1 || dims[2] !== rows.width) {
    refuse(node, 'what it adds is not one row');
  }
  reading.set(node, { is: 'padded', of: rows });
}

/** Takes the padding away; the output of attention is already without it. */
export function readSlice(reading: Reading, node: OnnxNode): void {
  const padded = reading.get(node, 0);
  if (padded.is !== 'padded') refuse(node, 'not of padded rows');
  const bounds = [1, 2, 3].map((index) => reading.list(node, index).join());
  const steps = (node.inputs[4] ?? '') === '' ? '1' : reading.list(node, 4).join();
  if (bounds.join(':') !== '0:-1:1' || steps !== '1') refuse(node, 'not all rows but the last');
  reading.set(node, padded.of);
}

export function readAttention(reading: Reading, node: OnnxNode): void {
  const padded = reading.get(node, 0);
  if (padded.is !== 'padded') refuse(node, 'its rows are not padded');
  const { of: packed } = padded;
  const heads = intOf(node, 'num_heads') ?? 0;
  const kvHeads = intOf(node, 'kv_num_heads') ?? 0;
  const headDim = packed.width / (heads + 2 * kvHeads);
  if (kvHeads < 1 || heads % kvHeads !== 0 || !Number.isInteger(headDim) || headDim % 4 !== 0) {
    refuse(node, `${heads} heads over ${kvHeads} in rows of ${packed.width}`);
  }
  checkPlain(reading, node, heads);
  checkPlaces(reading, node);
  const [key, value] = [reading.get(node, PAST_KEY), reading.get(node, PAST_VALUE)];
  if (key.is !== 'state' || value.is !== 'state') refuse(node, 'its state is not the stage’s');
  if (node.outputs[1] !== key.output || node.outputs[2] !== value.output || key.name === value.name) {
    refuse(node, 'its state goes elsewhere than where it comes from');
  }
  const held = reading.layers.flatMap(({ pastKey, pastValue }) => [pastKey, pastValue]);
  if (held.includes(key.name) || held.includes(value.name)) refuse(node, 'its state is another layer’s');
  if (reading.turned.has(packed.buffer.id)) refuse(node, 'its rows were turned before');
  const cos = reading.constant(node, COS);
  const [positions = 0, half = 0] = cos.dims;
  if (half % 4 !== 0 || half * 2 > headDim) refuse(node, `turns ${half * 2} of ${headDim}`);
  reading.positions = Math.min(reading.positions ?? positions, positions);
  reading.turned.add(packed.buffer.id);
  reading.layers.push({ pastKey: key.name, pastValue: value.name, kvHeads, headDim, group: heads / kvHeads });
  const shape = [{ int: heads }, { int: kvHeads }, { int: headDim }];
  const layer = { layer: key.name };
  const sin = floats(node, reading.constant(node, SIN), [positions, half]);
  const table = floats(node, cos, [positions, half]);
  reading.emit(packed.part, 'rotate', [
    ...[{ buffer: packed.buffer }, table, sin, layer],
    ...[...shape, { int: half }],
  ]);
  const out = reading.rows(heads * headDim, packed.part);
  reading.emit(packed.part, 'attend', [
    ...[{ buffer: out.buffer }, { buffer: packed.buffer }, { int: 0 }, layer],
    ...shape,
  ]);
  reading.set(node, { is: 'padded', of: out });
}

/** Position of the last row and positions in all, with the padding that the kernel does without. */
function checkPlaces(reading: Reading, node: OnnxNode): void {
  for (const [index, kind] of [
    [LAST, 'last'],
    [TOTAL, 'total'],
  ] as const) {
    const place = reading.get(node, index);
    if (place.is !== 'place' || place.kind !== kind || place.plus !== PADDING_ROWS) {
      refuse(node, `input ${index} is not where its rows stand`);
    }
  }
}

/** Nothing that the kernel does not do: windows, caps, biases, other scales, interleaved turning. */
function checkPlain(reading: Reading, node: OnnxNode, heads: number): void {
  const known = new Map([
    ['num_heads', undefined],
    ['kv_num_heads', undefined],
    ['do_rotary', 1],
    ['rotary_interleaved', 0],
  ]);
  for (const { name } of node.attributes) {
    if (!known.has(name)) refuse(node, `has '${name}'`);
    const wanted = known.get(name);
    if (wanted !== undefined && intOf(node, name) !== wanted) refuse(node, `'${name}' is not ${wanted}`);
  }
  if (intOf(node, 'do_rotary') !== 1) refuse(node, 'does not turn its rows');
  const given = node.inputs.flatMap((name, index) => (name === '' ? [] : [index]));
  const expected = [0, PAST_KEY, PAST_VALUE, LAST, TOTAL, COS, SIN, SINK];
  if (given.some((index) => !expected.includes(index))) refuse(node, 'has inputs beyond the usual');
  if (!given.includes(SINK)) return;
  const sink = reading.list(node, SINK);
  if (sink.length !== heads || sink.some((value) => value > NO_SINK)) refuse(node, 'its sink draws');
}
