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

/** Rows of all zeros get this scale: nothing is divided by zero, and the product is zero all the same. */
const SMALLEST_SCALE = 1e-30;

/** Rows in 8 bits: `values` uint8 `[1, rows, inner]`, `scale` float32 `[1, rows, 1]`. */
export interface QuantisedRows {
  readonly values: string;
  readonly scale: string;
}

/** @param input float32 `[1, rows, inner]` */
export function quantiseRows(parts: GraphParts, input: string, prefix: string): QuantisedRows {
  const step = parts.constant('quant.step', [], () => Float32Array.of(1 / LARGEST));
  const least = parts.constant('quant.least', [], () => Float32Array.of(SMALLEST_SCALE));
  const zero = parts.constant('quant.zero', [], () => Float32Array.of(ZERO));
  const size = parts.add('Abs', [input], `${prefix}.abs`);
  const largest = parts.add('ReduceMax', [size], `${prefix}.max`, { axes: [-1], keepdims: 1 });
  const raw = parts.add('Mul', [largest, step], `${prefix}.raw_scale`);
  const scale = parts.add('Max', [raw, least], `${prefix}.scale`);
  const scaled = parts.add('Div', [input, scale], `${prefix}.scaled`);
  const rounded = parts.add('Round', [scaled], `${prefix}.rounded`);
  const moved = parts.add('Add', [rounded, zero], `${prefix}.moved`);
  // 9 bits never occur: |x| <= largest, so |x / scale| <= 127 but for a rounding that `Round` takes back.
  const values = parts.add('Cast', [moved], `${prefix}.u8`, { to: 2 });
  return { values, scale };
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
  const one = parts.constant('quant.one', [], () => Float32Array.of(1));
  const zero = parts.constant('quant.zero_point', [], () => Uint8Array.of(ZERO));
  const sums = parts.add(
    'MatMulIntegerToFloat',
    [rows.values, weight.data, one, weight.scales, zero],
    `${output}.sums`,
    {},
    ORT_DOMAIN,
  );
  return parts.add('Mul', [sums, rows.scale], output);
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
