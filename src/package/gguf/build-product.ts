/**
 * Matrix products in 8 bits: uint8 activations with a scale for each row (token), int8 weights with a
 * scale for each column. Sums are integers, so they do not depend on the number of rows in a call, on
 * the runtime or on its kernels; and each row's scale depends on that row alone. That is what makes
 * prefill, stepwise and drafted runs equal bit for bit.
 */
import type { QuantisedColumns } from '../../graph/quantise-columns.ts';
import { type GraphParts, ORT_DOMAIN } from './build-graph.ts';

/** Zero of the uint8 activations: their range is -127 .. 127 around it. */
const ZERO = 128;
const LARGEST = 127;

/** Rows of all zeros count as this large: nothing is divided by zero, and the product is zero all the same. */
const LEAST_SIZE = 1e-28;

/**
 * Rows in 8 bits: `values` uint8 `[1, rows, inner]`, 127 above its zero for the row's largest element, whose
 * size is `largest`, float32 `[1, rows, 1]`.
 */
export interface QuantisedRows {
  readonly values: string;
  readonly largest: string;
}

/** @param input float32 `[1, rows, inner]` */
export function quantiseRows(parts: GraphParts, input: string, prefix: string): QuantisedRows {
  const least = parts.constant('quant.least', [], () => Float32Array.of(LEAST_SIZE));
  const size = parts.add('Abs', [input], `${prefix}.abs`);
  const raw = parts.add('ReduceMax', [size], `${prefix}.max`, { axes: [-1], keepdims: 1 });
  const largest = parts.add('Max', [raw, least], `${prefix}.largest`);
  const scaled = parts.add('Div', [input, largest], `${prefix}.scaled`);
  // Rounds halves to even and moves to the zero in one node: a step on WASM is nodes as much as products.
  const values = parts.add('QuantizeLinear', [scaled, stepOf(parts), zeroPoint(parts)], `${prefix}.u8`);
  return { values, largest };
}

/**
 * `rows x weight`, float32 `[1, rows, columns]`.
 * @param weight names of int8 `[inner, columns]` and of float32 `[columns]`
 */
export function product(
  parts: GraphParts,
  rows: QuantisedRows,
  weight: { readonly data: string; readonly scales: string },
  output: string,
): string {
  const sums = parts.add(
    'MatMulIntegerToFloat',
    [rows.values, weight.data, stepOf(parts), weight.scales, zeroPoint(parts)],
    `${output}.sums`,
    {},
    ORT_DOMAIN,
  );
  return parts.add('Mul', [sums, rows.largest], output);
}

function stepOf(parts: GraphParts): string {
  return parts.constant('quant.step', [], () => Float32Array.of(1 / LARGEST));
}

function zeroPoint(parts: GraphParts): string {
  return parts.constant('quant.zero_point', [], () => Uint8Array.of(ZERO));
}

/** Puts a quantised matrix among the weights as `name` and `name.scale`. */
export function addWeight(
  parts: GraphParts,
  name: string,
  inner: number,
  columns: number,
  quantise: () => QuantisedColumns,
): { readonly data: string; readonly scales: string } {
  let made: QuantisedColumns | undefined;
  const once = (): QuantisedColumns => {
    made ??= quantise();
    return made;
  };
  return {
    data: parts.constant(name, [inner, columns], () => once().data),
    scales: parts.constant(`${name}.scale`, [columns], () => once().scales),
  };
}
