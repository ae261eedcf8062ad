/** As much of an ONNX writer as the bench's export needs. Field numbers are those of onnx.proto3. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

const VARINT = WireType.Varint;
const BYTES = WireType.LengthDelimited;

/** AttributeProto.AttributeType. */
const FLOAT_TYPE = 1;
const INT_TYPE = 2;

/** TensorProto.DataType. */
export const TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 };

const TYPE_OF = new Map([
  [Float32Array, TYPES.float32],
  [Int8Array, TYPES.int8],
  [Int32Array, TYPES.int32],
  [BigInt64Array, TYPES.int64],
]);

const message = (writer, field, write) => {
  writer.tag(field, BYTES).fork();
  write(writer);
  writer.join();
};
const string = (writer, field, value) => writer.tag(field, BYTES).string(value);
const int = (writer, field, value) => writer.tag(field, VARINT).int64(value);

/** A graph in the making. Attributes that are numbers are ints; `{ float }` is a float. */
export class Graph {
  #nodes = [];
  #weights = new Map();

  node(opType, inputs, outputs, attributes = {}, domain = '') {
    const names = [outputs].flat();
    this.#nodes.push({ opType, inputs, outputs: names, attributes, domain });
    return names[0];
  }

  /** A node of onnxruntime's own operators. */
  fused(opType, inputs, outputs, attributes = {}) {
    return this.node(opType, inputs, outputs, attributes, 'com.microsoft');
  }

  weight(name, dims, values) {
    this.#weights.set(name, { dims, values });
    return name;
  }

  /** @param values `{ name, type, dims }` of inputs and outputs; strings among `dims` are symbolic */
  write(inputs, outputs, opset) {
    const writer = new BinaryWriter();
    int(writer, 1, 8);
    string(writer, 2, 'isthmus-bench');
    message(writer, 7, () => {
      for (const node of this.#nodes) message(writer, 1, () => writeNode(writer, node));
      string(writer, 2, 'decoder');
      for (const [name, weight] of this.#weights) message(writer, 5, () => writeWeight(writer, name, weight));
      for (const value of inputs) message(writer, 11, () => writeValue(writer, value));
      for (const value of outputs) message(writer, 12, () => writeValue(writer, value));
    });
    for (const [domain, version] of [
      ['', opset],
      ['com.microsoft', 1],
    ]) {
      message(writer, 8, () => {
        string(writer, 1, domain);
        int(writer, 2, version);
      });
    }
    return writer.finish();
  }
}

function writeNode(writer, { opType, inputs, outputs, attributes, domain }) {
  for (const name of inputs) string(writer, 1, name);
  for (const name of outputs) string(writer, 2, name);
  string(
    writer,
    3,
    outputs.find((name) => name !== ''),
  );
  string(writer, 4, opType);
  for (const [name, value] of Object.entries(attributes)) {
    message(writer, 5, () => {
      string(writer, 1, name);
      if (typeof value === 'number') int(writer, 3, value);
      else writer.tag(2, WireType.Bit32).float(value.float);
      int(writer, 20, typeof value === 'number' ? INT_TYPE : FLOAT_TYPE);
    });
  }
  if (domain !== '') string(writer, 7, domain);
}

function writeWeight(writer, name, { dims, values }) {
  for (const dim of dims) int(writer, 1, dim);
  int(writer, 2, TYPE_OF.get(values.constructor));
  string(writer, 8, name);
  writer.tag(9, BYTES).bytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

function writeValue(writer, { name, type, dims }) {
  string(writer, 1, name);
  message(writer, 2, () => {
    message(writer, 1, () => {
      int(writer, 1, type);
      message(writer, 2, () => {
        for (const dim of dims) {
          message(writer, 1, () => (typeof dim === 'number' ? int(writer, 1, dim) : string(writer, 2, dim)));
        }
      });
    });
  });
}
