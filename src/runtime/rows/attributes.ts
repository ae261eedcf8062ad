/** What compilation reads of nodes and constants. */
import type { OnnxNode, OnnxTensor } from '../../graph/onnx-types.ts';
import { dtypeOf } from '../../graph/onnx-types.ts';

export function intOf(node: OnnxNode, name: string): number | undefined {
  const attribute = node.attributes.find((entry) => entry.name === name);
  // Some writers leave out the field of a zero.
  return attribute === undefined ? undefined : Number(attribute.int ?? 0n);
}

export function intsOf(node: OnnxNode, name: string): readonly number[] | undefined {
  return node.attributes.find((attribute) => attribute.name === name)?.ints.map(Number);
}

/** AttributeProto's field 2 as a fixed32; the graph's own types leave floats as they came. */
const FLOAT_TAG = 0x15;

export function floatOf(node: OnnxNode, name: string): number | undefined {
  const attribute = node.attributes.find((entry) => entry.name === name);
  if (attribute === undefined) return undefined;
  const field = attribute.rest.find((bytes) => bytes[0] === FLOAT_TAG && bytes.length === 5);
  return field === undefined ? 0 : new DataView(field.buffer, field.byteOffset, 5).getFloat32(1, true);
}

/** Elements of a constant that is in the graph itself; `undefined` for others. */
export function numbersOf(tensor: OnnxTensor | undefined): readonly number[] | undefined {
  const data = tensor?.data;
  if (tensor === undefined || data === undefined) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const list = (bytes: number, read: (at: number) => number): number[] =>
    Array.from({ length: Math.floor(data.byteLength / bytes) }, (_, index) => read(index * bytes));
  switch (dtypeOf(tensor.dataType)) {
    case 'float32':
      return list(4, (at) => view.getFloat32(at, true));
    case 'int64':
      return list(8, (at) => Number(view.getBigInt64(at, true)));
    case 'int32':
      return list(4, (at) => view.getInt32(at, true));
    case 'uint8':
      return [...data];
    default:
      return undefined;
  }
}

/** The one element of a constant, whatever its rank. */
export function numberOf(tensor: OnnxTensor | undefined): number | undefined {
  const values = numbersOf(tensor);
  return values?.length === 1 ? values[0] : undefined;
}
