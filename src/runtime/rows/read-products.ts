/** Products in 8 bits and what makes rows ready for them; see `build-product.ts` for the graph's side. */
import type { OnnxNode } from '../../graph/onnx-types.ts';
import { intOf, intsOf } from './attributes.ts';
import { paddedInner, type RowBuffer } from './program.ts';
import { type QuantiseStep, type Reading, type RowsValue, refuse, type Value, weightOf } from './reading.ts';

type Quantising = Value & { readonly is: 'quantising' };

function quantising(reading: Reading, node: OnnxNode, index: number, at: QuantiseStep): Quantising {
  const value = reading.get(node, index);
  if (value.is === 'quantising' && value.at === at) return value;
  return refuse(node, `input ${index} is not the '${at}' of rows`);
}

export function readAbs(reading: Reading, node: OnnxNode): void {
  reading.set(node, { is: 'quantising', at: 'abs', of: reading.plain(node, 0) });
}

export function readReduceMax(reading: Reading, node: OnnxNode): void {
  const size = quantising(reading, node, 0, 'abs');
  const axes = intsOf(node, 'axes') ?? (node.inputs.length > 1 ? reading.list(node, 1) : []);
  if (axes.length !== 1 || axes[0] !== -1 || intOf(node, 'keepdims') === 0) refuse(node, 'not along a row');
  reading.set(node, { ...size, at: 'max' });
}

export function readMax(reading: Reading, node: OnnxNode): void {
  if (node.inputs.length !== 2) refuse(node, 'not of a row and a number');
  const raw = quantising(reading, node, 0, 'max');
  reading.set(node, { ...raw, at: 'largest', least: reading.scalar(node, 1) });
}

export function readDiv(reading: Reading, node: OnnxNode): void {
  const rows = reading.plain(node, 0);
  const largest = quantising(reading, node, 1, 'largest');
  if (largest.of.buffer !== rows.buffer) refuse(node, 'the size is that of other rows');
  reading.set(node, { ...largest, at: 'scaled' });
}

/** Zero of uint8 activations; the kernels keep them as signed numbers round 0. */
const ZERO = 128;

/** The largest activation, from its zero. */
const LARGEST = 127;

export function readQuantize(reading: Reading, node: OnnxNode): void {
  const scaled = quantising(reading, node, 0, 'scaled');
  const zero = reading.constant(node, 2);
  if (zero.dataType !== 2 || reading.scalar(node, 2) !== ZERO) refuse(node, 'its zero is not 128 in uint8');
  const step = reading.scalar(node, 1);
  // With smaller steps the graph would cut off what does not fit into 8 bits.
  if (!(1 / step < LARGEST + 0.5)) refuse(node, `steps of ${step}`);
  reading.set(node, { ...scaled, at: 'rounded', step });
}

export function readProduct(reading: Reading, node: OnnxNode): void {
  const rounded = quantising(reading, node, 0, 'rounded');
  const [matrix, scales] = [reading.constant(node, 1), reading.constant(node, 3)];
  const [inner = 0, columns = 0] = matrix.dims;
  const { step } = rounded;
  if (step === undefined || reading.scalar(node, 2) !== step) refuse(node, 'another step than its rows');
  if (reading.scalar(node, 4) !== ZERO || (node.inputs[5] ?? '') !== '' || (node.inputs[6] ?? '') !== '') {
    refuse(node, 'another zero, or an offset');
  }
  if (matrix.dataType !== 3 || matrix.dims.length !== 2 || inner !== rounded.of.width) {
    refuse(node, `'${matrix.name}' is no int8 matrix for its rows`);
  }
  if (scales.dataType !== 1 || scales.dims.length !== 1 || scales.dims[0] !== columns) {
    refuse(node, `'${scales.name}' is not a scale for each column`);
  }
  reading.set(node, { ...rounded, at: 'sums', weight: { matrix, scales } });
}

/** The last node of a product: the row's own size comes in. */
export function finishProduct(reading: Reading, node: OnnxNode, sums: Value, by: Value): boolean {
  if (sums.is !== 'quantising' || sums.at !== 'sums' || by.is !== 'quantising' || by.at !== 'largest') {
    return false;
  }
  const { of, step = 0, weight } = sums;
  if (by.of.buffer !== of.buffer || weight === undefined) return false;
  const [inner = 0, columns = 0] = weight.matrix.dims;
  const { values, largest } = roundedRows(reading, of, step, by.least ?? 0);
  const out = reading.rows(columns, of.part);
  reading.emit(of.part, 'product', [
    { buffer: values },
    { buffer: largest },
    weightOf(weight.matrix, { as: 'matrix', inner, columns }),
    weightOf(weight.scales, { as: 'floats', factor: step }),
    { buffer: out.buffer },
    { int: columns },
    { int: paddedInner(inner) },
  ]);
  reading.set(node, out);
  return true;
}

function roundedRows(
  reading: Reading,
  rows: RowsValue,
  step: number,
  least: number,
): { readonly values: RowBuffer; readonly largest: RowBuffer } {
  const key = [rows.buffer.id, step, least].join();
  const known = reading.quantised.get(key);
  if (known !== undefined) return known;
  const inner = paddedInner(rows.width);
  const made = { values: reading.buffer(inner * 2), largest: reading.buffer(4) };
  reading.quantised.set(key, made);
  reading.emit(rows.part, 'quantise', [
    { buffer: made.values },
    { buffer: made.largest },
    { buffer: rows.buffer },
    { int: rows.width },
    { int: inner },
    { float: step },
    { float: least },
  ]);
  return made;
}
