/**
 * What is known of each value while a graph is read node by node. Operators that the kernels do in one go are
 * several nodes in the graph; until the last of them is read, values stand for what has been seen so far.
 */
import type { OnnxNode, OnnxTensor } from '../../graph/onnx-types.ts';
import { numberOf, numbersOf } from './attributes.ts';
import type { Argument, AttentionLayer, Kind, Operation, RowBuffer, Rows, WeightForm } from './program.ts';

export interface RowsValue extends Rows {
  readonly is: 'rows';
  /** Extents of a row: `[width]`, or how a reshape sees it; a group repeats where it is smaller. */
  readonly tail: readonly number[];
  readonly part: 'body' | 'head';
}

/** How far 8-bit rows have been read: `x`, its size, what it is divided by, ... */
export type QuantiseStep = 'abs' | 'max' | 'largest' | 'scaled' | 'rounded' | 'sums';

export type Value =
  | RowsValue
  | { readonly is: 'constant'; readonly tensor: OnnxTensor }
  | { readonly is: 'tokens' | 'picked' }
  /** A number that follows from the position, and what was added to it. */
  | { readonly is: 'place'; readonly kind: string; readonly plus: number }
  | { readonly is: 'state'; readonly name: string; readonly output: string }
  | {
      readonly is: 'quantising';
      readonly at: QuantiseStep;
      readonly of: RowsValue;
      readonly least?: number;
      readonly step?: number;
      readonly weight?: { readonly matrix: OnnxTensor; readonly scales: OnnxTensor };
    }
  | { readonly is: 'padded'; readonly of: RowsValue }
  | { readonly is: 'part'; readonly of: RowsValue; readonly offset: number; readonly width: number }
  | { readonly is: 'active'; readonly of: Value & { readonly is: 'part' }; readonly alpha: number }
  | { readonly is: 'columns'; readonly matrix: OnnxTensor; readonly turned: boolean; readonly cast: boolean }
  | { readonly is: 'columnScales'; readonly scales: OnnxTensor; readonly isColumn: boolean }
  /** An embedding that was looked up before the near cut. */
  | { readonly is: 'codes' | 'codeScales'; readonly buffer: RowBuffer; readonly width: number };

/** Thrown while reading, never outside: this graph is for another runtime. */
export class NotForKernels extends Error {}

/** @throws NotForKernels */
export function refuse(node: OnnxNode, why: string): never {
  throw new NotForKernels(`${node.opType} '${node.outputs[0] ?? node.name}': ${why}`);
}

export class Reading {
  readonly values = new Map<string, Value>();
  readonly body: Operation[] = [];
  readonly head: Operation[] = [];
  readonly layers: AttentionLayer[] = [];
  /** 8-bit forms of rows that several products read. */
  readonly quantised = new Map<string, { readonly values: RowBuffer; readonly largest: RowBuffer }>();
  /** Rows that attention turns where they lie: nothing else may read them. */
  readonly turned = new Set<number>();
  vocabulary: number | undefined;
  positions: number | undefined;
  #buffers = 0;

  buffer(rowBytes: number): RowBuffer {
    this.#buffers += 1;
    return { id: this.#buffers, rowBytes };
  }

  rows(width: number, part: 'body' | 'head'): RowsValue {
    return { is: 'rows', buffer: this.buffer(width * 4), width, dtype: 'float32', tail: [width], part };
  }

  emit(part: 'body' | 'head', kind: Kind, args: readonly Argument[]): void {
    this[part].push({ kind, args });
  }

  get(node: OnnxNode, index: number): Value {
    const name = node.inputs[index] ?? '';
    const value = this.values.get(name);
    return value ?? refuse(node, `'${name}' is not known`);
  }

  set(node: OnnxNode, value: Value, index = 0): void {
    const name = node.outputs[index] ?? '';
    if (name !== '') this.values.set(name, value);
  }

  /** Rows in their own shape. */
  plain(node: OnnxNode, index: number): RowsValue {
    const value = this.get(node, index);
    if (value.is !== 'rows') return refuse(node, `input ${index} is no rows`);
    if (!isPlain(value)) refuse(node, 'its rows are reshaped');
    this.checkRows(node, value);
    return value;
  }

  /** What operations on rows take: they work in fours. */
  checkRows(node: OnnxNode, { width, buffer }: RowsValue): void {
    if (width % 4 !== 0) refuse(node, `rows of ${width}`);
    if (this.turned.has(buffer.id)) refuse(node, 'reads rows that attention has turned');
  }

  constant(node: OnnxNode, index: number): OnnxTensor {
    const value = this.get(node, index);
    return value.is === 'constant' ? value.tensor : refuse(node, `input ${index} is no constant`);
  }

  /** The one number of a constant inside the graph. */
  scalar(node: OnnxNode, index: number): number {
    return numberOf(this.constant(node, index)) ?? refuse(node, `input ${index} is no plain number`);
  }

  list(node: OnnxNode, index: number): readonly number[] {
    return numbersOf(this.constant(node, index)) ?? refuse(node, `input ${index} is not in the graph`);
  }
}

export function isPlain({ tail, width }: RowsValue): boolean {
  return tail.length === 1 && tail[0] === width;
}

export function weightOf(tensor: OnnxTensor, form: WeightForm): Argument {
  return { weight: { tensor, form } };
}

/** Float32 with these extents, as it is. */
export function floats(node: OnnxNode, tensor: OnnxTensor, dims: readonly number[]): Argument {
  const fits = tensor.dataType === 1 && tensor.dims.length === dims.length;
  if (!fits || dims.some((dim, axis) => tensor.dims[axis] !== dim)) {
    refuse(node, `'${tensor.name}' is not float32 [${dims.join(', ')}]`);
  }
  return weightOf(tensor, { as: 'floats', factor: 1 });
}
