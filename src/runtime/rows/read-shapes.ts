/** Embedding, gating, and products of small float matrices with parts of a row. */
import type { OnnxNode, OnnxTensor } from '../../graph/onnx-types.ts';
import { floatOf, intOf, intsOf } from './attributes.ts';
import { floats, type Reading, type RowsValue, refuse, type Value } from './reading.ts';

export function readGather(reading: Reading, node: OnnxNode): void {
  const [data, indices] = [reading.get(node, 0), reading.get(node, 1)];
  const axis = intOf(node, 'axis') ?? 0;
  if (data.is === 'constant' && indices.is === 'tokens') {
    const { tensor } = data;
    if (axis === 1 && tensor.dataType === 3 && tensor.dims.length === 2) {
      reading.set(node, { is: 'columns', matrix: tensor, turned: false, cast: false });
    } else if (axis === 0 && tensor.dataType === 1 && tensor.dims.length === 1) {
      reading.set(node, { is: 'columnScales', scales: tensor, isColumn: false });
    } else refuse(node, `'${tensor.name}' is no table of tokens in 8 bits`);
    return;
  }
  if (data.is !== 'rows' || indices.is !== 'picked' || axis !== 1) refuse(node, 'picks no rows');
  const rows = reading.plain(node, 0);
  if (rows.part === 'head') refuse(node, 'picks among rows that were picked');
  const out = reading.rows(rows.width, 'head');
  reading.emit('head', 'pick', [
    { buffer: out.buffer },
    { buffer: rows.buffer },
    { int: 0 },
    { int: rows.buffer.rowBytes },
  ]);
  reading.set(node, out);
}

export function readTranspose(reading: Reading, node: OnnxNode): void {
  const value = reading.get(node, 0);
  const perm = intsOf(node, 'perm') ?? [];
  if (value.is !== 'columns' || perm.join() !== '1,2,0') refuse(node, 'turns no embedding');
  reading.set(node, { ...value, turned: true });
}

/** To float32, which the kernels do on the way. */
export function readCast(reading: Reading, node: OnnxNode): void {
  const value = reading.get(node, 0);
  if ((value.is !== 'columns' && value.is !== 'codes') || intOf(node, 'to') !== 1) {
    refuse(node, 'casts no embedding');
  }
  reading.set(node, value.is === 'columns' ? { ...value, cast: true } : value);
}

export function readUnsqueeze(reading: Reading, node: OnnxNode): void {
  const value = reading.get(node, 0);
  if (value.is !== 'columnScales' || value.isColumn) refuse(node, 'of no embedding');
  if (!['-1', '2'].includes(reading.list(node, 1).join())) refuse(node, 'not behind the rows');
  reading.set(node, { ...value, isColumn: true });
}

export function readSplit(reading: Reading, node: OnnxNode): void {
  const rows = reading.plain(node, 0);
  const parts = node.outputs.length;
  const axis = intOf(node, 'axis') ?? 0;
  if (node.inputs.length > 1 || (axis !== -1 && axis !== 2)) refuse(node, 'not in equal parts of a row');
  const width = rows.width / parts;
  if (!Number.isInteger(width) || width % 4 !== 0) refuse(node, `parts of ${width}`);
  node.outputs.forEach((_, index) => {
    reading.set(node, { is: 'part', of: rows, offset: index * width, width }, index);
  });
}

export function readGelu(reading: Reading, node: OnnxNode): void {
  const value = reading.get(node, 0);
  if (value.is !== 'part') refuse(node, 'not of a part of a row');
  // The operator's own default.
  reading.set(node, { is: 'active', of: value, alpha: floatOf(node, 'alpha') ?? 1.702 });
}

export function finishGate(reading: Reading, node: OnnxNode, a: Value, b: Value): boolean {
  if (a.is !== 'active' || b.is !== 'part' || b.of.buffer !== a.of.of.buffer) return false;
  const { of: packed, offset, width } = a.of;
  if (b.width !== width) return false;
  const out = reading.rows(width, packed.part);
  reading.emit(packed.part, 'gated', [
    ...[{ buffer: out.buffer }, { buffer: packed.buffer }, { int: 0 }],
    ...[{ int: offset }, { int: b.offset }, { int: packed.width }, { int: width }, { float: a.alpha }],
  ]);
  reading.set(node, out);
  return true;
}

/** Each row seen as groups, as a small table, or whole again. Nothing moves. */
export function readReshape(reading: Reading, node: OnnxNode): void {
  const rows = reading.get(node, 0);
  if (rows.is !== 'rows') refuse(node, 'not of rows');
  reading.checkRows(node, rows);
  const [first, second, third, ...more] = reading.list(node, 1);
  if (second === undefined || third === undefined || more.length > 0) refuse(node, 'not to three extents');
  if (first === 1 && second === -1 && rows.width % third === 0) {
    reading.set(node, { ...rows, tail: [third] });
  } else if (first === -1 && second * third === rows.width) {
    reading.set(node, { ...rows, tail: [second, third] });
  } else refuse(node, `to [${first}, ${second}, ${third}]`);
}

export function readMatMul(reading: Reading, node: OnnxNode): void {
  const [left, right] = [reading.get(node, 0), reading.get(node, 1)];
  if (left.is === 'rows' && right.is === 'constant') {
    const size = left.tail.at(-1) ?? 0;
    const matrix = square(node, right.tensor, size);
    emitLike(reading, node, left, 'mix', [matrix, { int: size }, { int: left.width }]);
  } else if (left.is === 'constant' && right.is === 'rows' && right.tail.length === 2) {
    const [blocks = 0, width = 0] = right.tail;
    const matrix = square(node, left.tensor, blocks);
    emitLike(reading, node, right, 'mixBlocks', [matrix, { int: blocks }, { int: width }]);
  } else refuse(node, 'of rows and a square matrix only');
}

function square(node: OnnxNode, tensor: OnnxTensor, size: number) {
  return floats(node, tensor, [size, size]);
}

/** A vector for each row: the rows' own shape with ones before it. */
export function finishScale(reading: Reading, node: OnnxNode, a: Value, b: Value): boolean {
  if (a.is !== 'rows' || b.is !== 'constant') return false;
  const dims = [...b.tensor.dims];
  while (dims[0] === 1 && dims.length > a.tail.length) dims.shift();
  if (dims.join() !== a.tail.join() || a.tail.reduce((x, y) => x * y) !== a.width) return false;
  const vector = floats(node, b.tensor, b.tensor.dims);
  emitLike(reading, node, a, 'scale', [vector, { int: a.width }]);
  return true;
}

function emitLike(
  reading: Reading,
  node: OnnxNode,
  rows: RowsValue,
  kind: 'mix' | 'mixBlocks' | 'scale',
  args: Parameters<Reading['emit']>[2],
): void {
  reading.checkRows(node, rows);
  const out = reading.rows(rows.width, rows.part);
  reading.emit(rows.part, kind, [{ buffer: out.buffer }, { buffer: rows.buffer }, ...args]);
  reading.set(node, { ...out, tail: rows.tail });
}
