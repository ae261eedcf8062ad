/** The types of `onnx-types.ts` back to ONNX bytes; fields kept raw are written as they came. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { encodeTensor } from './onnx-tensor.ts';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxValue } from './onnx-types.ts';

const LEN = WireType.LengthDelimited;

export function writeModel(model: OnnxModel): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int64(model.irVersion);
  for (const field of model.rest) writer.raw(field);
  for (const { domain, version } of model.opsets) {
    writer.tag(8, LEN).fork();
    if (domain !== '') writer.tag(1, LEN).string(domain);
    writer.tag(2, WireType.Varint).int64(version);
    writer.join();
  }
  writer.tag(7, LEN).bytes(encodeGraph(model.graph));
  return writer.finish();
}

function encodeGraph(graph: OnnxGraph): Uint8Array {
  const writer = new BinaryWriter();
  for (const node of graph.nodes) writer.tag(1, LEN).bytes(encodeNode(node));
  writer.tag(2, LEN).string(graph.name);
  for (const tensor of graph.initializers) writer.tag(5, LEN).bytes(encodeTensor(tensor));
  for (const value of graph.inputs) writer.tag(11, LEN).bytes(encodeValue(value));
  for (const value of graph.outputs) writer.tag(12, LEN).bytes(encodeValue(value));
  return writer.finish();
}

function encodeNode(node: OnnxNode): Uint8Array {
  const writer = new BinaryWriter();
  for (const input of node.inputs) writer.tag(1, LEN).string(input);
  for (const output of node.outputs) writer.tag(2, LEN).string(output);
  if (node.name !== '') writer.tag(3, LEN).string(node.name);
  writer.tag(4, LEN).string(node.opType);
  for (const attribute of node.attributes) writer.tag(5, LEN).bytes(encodeAttribute(attribute));
  if (node.domain !== '') writer.tag(7, LEN).string(node.domain);
  for (const field of node.rest) writer.raw(field);
  return writer.finish();
}

function encodeAttribute(attribute: OnnxAttribute): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, LEN).string(attribute.name);
  if (attribute.int !== undefined) writer.tag(3, WireType.Varint).int64(attribute.int);
  if (attribute.tensor !== undefined) writer.tag(5, LEN).bytes(encodeTensor(attribute.tensor));
  for (const { field, graph } of attribute.graphs) writer.tag(field, LEN).bytes(encodeGraph(graph));
  // Unpacked, as proto2 readers of older files expect; every reader takes both forms.
  for (const value of attribute.ints) writer.tag(8, WireType.Varint).int64(value);
  for (const field of attribute.rest) writer.raw(field);
  return writer.finish();
}

function encodeValue(value: OnnxValue): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, LEN).string(value.name);
  if (value.rawType !== undefined) writer.tag(2, LEN).bytes(value.rawType);
  else if (value.elemType !== 0) writer.tag(2, LEN).bytes(encodeTensorType(value));
  return writer.finish();
}

function encodeTensorType(value: OnnxValue): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, LEN).fork();
  writer.tag(1, WireType.Varint).int32(value.elemType);
  if (value.dims !== undefined) {
    writer.tag(2, LEN).fork();
    for (const dim of value.dims) {
      writer.tag(1, LEN).fork();
      if (typeof dim === 'number') writer.tag(1, WireType.Varint).int64(dim);
      else if (typeof dim === 'string') writer.tag(2, LEN).string(dim);
      writer.join();
    }
    writer.join();
  }
  writer.join();
  return writer.finish();
}

/** A tensor value made here, e.g. an input of a span for what crosses a cut. */
export function tensorValue(name: string, elemType: number, dims: OnnxValue['dims']): OnnxValue {
  return dims === undefined ? { name, elemType } : { name, elemType, dims };
}
