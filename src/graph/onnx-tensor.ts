/** TensorProto: many ways to store the same elements, brought into one (little-endian bytes). */
import { type BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { DTYPE_BYTES, elementCount } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import { dtypeOf, type ExternalData, type OnnxTensor } from './onnx-types.ts';
import { readFields, readVarints } from './protobuf.ts';

/** TensorProto.DataLocation.EXTERNAL */
const EXTERNAL = 1;

interface TypedData {
  readonly float: Uint8Array[];
  readonly double: Uint8Array[];
  readonly ints: bigint[];
}

export function decodeTensor(bytes: Uint8Array): OnnxTensor {
  const dims: bigint[] = [];
  const entries = new Map<string, string>();
  const typed: TypedData = { float: [], double: [], ints: [] };
  let name = '';
  let dataType = 0;
  let raw: Uint8Array | undefined;
  let location = 0;
  const rest = readFields(bytes, (field, wire, reader) => {
    if (field === 1) readVarints(wire, reader, dims);
    else if (field === 2) dataType = reader.int32();
    else if (field === 4) typed.float.push(readFixed(wire, reader, 4));
    else if (field === 5 || field === 7 || field === 11) readVarints(wire, reader, typed.ints);
    else if (field === 8) name = reader.string();
    else if (field === 9) raw = reader.bytes();
    else if (field === 10) typed.double.push(readFixed(wire, reader, 8));
    else if (field === 13) readEntry(reader.bytes(), entries);
    else if (field === 14) location = reader.int32();
    else return false;
    return true;
  });
  const shape = dims.map(Number);
  const base = { name, dataType, dims: shape, rest };
  if (location === EXTERNAL) return { ...base, external: externalData(name, entries) };
  const data = raw ?? typedBytes(typed, dataType, shape, name);
  if (data !== undefined) checkLength(base, data.byteLength);
  return data === undefined ? base : { ...base, data };
}

function readFixed(wire: WireType, reader: BinaryReader, width: 4 | 8): Uint8Array {
  if (wire === WireType.LengthDelimited) return reader.bytes();
  const one = new Uint8Array(width);
  const view = new DataView(one.buffer);
  if (width === 4) view.setFloat32(0, reader.float(), true);
  else view.setFloat64(0, reader.double(), true);
  return one;
}

function readEntry(bytes: Uint8Array, into: Map<string, string>): void {
  let key = '';
  let value = '';
  readFields(bytes, (field, _wire, reader) => {
    if (field === 1) key = reader.string();
    else if (field === 2) value = reader.string();
    else return false;
    return true;
  });
  into.set(key, value);
}

function externalData(name: string, entries: Map<string, string>): ExternalData {
  const location = entries.get('location');
  const offset = Number(entries.get('offset') ?? '0');
  const lengthText = entries.get('length');
  const length = lengthText === undefined ? undefined : Number(lengthText);
  if (
    location === undefined ||
    !Number.isSafeInteger(offset) ||
    offset < 0 ||
    (length !== undefined && (!Number.isSafeInteger(length) || length < 0))
  ) {
    throw new IsthmusError('bad-model', `weight '${name}' points to external data that is not well formed`);
  }
  return length === undefined ? { location, offset } : { location, offset, length };
}

function typedBytes(
  typed: TypedData,
  dataType: number,
  dims: readonly number[],
  name: string,
): Uint8Array | undefined {
  const dtype = dtypeOf(dataType);
  if (dtype === undefined) {
    // Dropping the elements without a word would make another model of it.
    const isTyped = typed.float !== undefined || typed.double !== undefined || typed.ints !== undefined;
    if (!isTyped) return undefined;
    throw new IsthmusError('unsupported-model', `weight '${name}' is of ONNX data type ${dataType}`);
  }
  const count = elementCount(dims);
  const width = DTYPE_BYTES[dtype];
  if (typed.float.length > 0) return concat(typed.float);
  if (typed.double.length > 0) return concat(typed.double);
  if (typed.ints.length === 0) return count === 0 ? new Uint8Array(0) : undefined;
  if (typed.ints.length !== count) {
    throw new IsthmusError('bad-model', `weight '${name}' has ${typed.ints.length} elements, not ${count}`);
  }
  const bytes = new Uint8Array(count * width);
  const view = new DataView(bytes.buffer);
  typed.ints.forEach((value, index) => {
    const at = index * width;
    // float16 is stored as its bit pattern in int32_data.
    if (width === 1) view.setUint8(at, Number(BigInt.asUintN(8, value)));
    else if (width === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), true);
    else if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
    else view.setBigUint64(at, BigInt.asUintN(64, value), true);
  });
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

/** Bytes that dtype and shape call for; `undefined` for dtypes that Isthmus does not know. */
export function tensorBytes({ dataType, dims }: Pick<OnnxTensor, 'dataType' | 'dims'>): number | undefined {
  const dtype = dtypeOf(dataType);
  return dtype === undefined ? undefined : elementCount(dims) * DTYPE_BYTES[dtype];
}

/** Throws `bad-model` when the length is not what dtype and shape call for. */
export function checkLength(tensor: Pick<OnnxTensor, 'name' | 'dataType' | 'dims'>, got: number): void {
  const expected = tensorBytes(tensor);
  if (expected === undefined || got === expected) return;
  const { name, dims } = tensor;
  throw new IsthmusError('bad-model', `weight '${name}' has ${got} bytes where its shape takes ${expected}`, {
    details: { name, dims, expected, got },
  });
}

export function encodeTensor(tensor: OnnxTensor): Uint8Array {
  const writer = new BinaryWriter();
  if (tensor.dims.length > 0) {
    writer.tag(1, WireType.LengthDelimited).fork();
    for (const dim of tensor.dims) writer.int64(dim);
    writer.join();
  }
  writer.tag(2, WireType.Varint).int32(tensor.dataType);
  if (tensor.name !== '') writer.tag(8, WireType.LengthDelimited).string(tensor.name);
  if (tensor.external !== undefined) {
    const { location, offset, length } = tensor.external;
    encodeEntry(writer, 'location', location);
    encodeEntry(writer, 'offset', String(offset));
    if (length !== undefined) encodeEntry(writer, 'length', String(length));
    writer.tag(14, WireType.Varint).int32(EXTERNAL);
  } else if (tensor.data !== undefined) {
    writer.tag(9, WireType.LengthDelimited).bytes(tensor.data);
  }
  for (const field of tensor.rest) writer.raw(field);
  return writer.finish();
}

function encodeEntry(writer: BinaryWriter, key: string, value: string): void {
  writer.tag(13, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.LengthDelimited).string(key);
  writer.tag(2, WireType.LengthDelimited).string(value);
  writer.join();
}
