/** A graph in the making: nodes in order, weights, and short ways to write both. */
import type { DType } from '../../core/tensor.ts';
import type { OnnxAttribute, OnnxDim, OnnxNode, OnnxTensor, OnnxValue } from '../../graph/onnx-types.ts';
import { dataTypeOf } from '../../graph/onnx-types.ts';

/** AttributeProto.AttributeType; runtimes refuse an attribute without its type (field 20). */
const FLOAT_TYPE = 1;
const INT_TYPE = 2;
const INTS_TYPE = 7;

/** Domain of onnxruntime's own operators. */
export const ORT_DOMAIN = 'com.microsoft';

function typeField(type: number): Uint8Array {
  return Uint8Array.of(0xa0, 0x01, type);
}

/** A list is an `ints` attribute, `float(...)` a float one, a plain number an `int`. */
export type AttributeValue = number | readonly number[] | { readonly float: number };

function attribute(name: string, value: AttributeValue): OnnxAttribute {
  if (typeof value === 'number') {
    return { name, graphs: [], int: BigInt(value), ints: [], rest: [typeField(INT_TYPE)] };
  }
  if ('float' in value) {
    // Field 2, wire type fixed32; the type of attributes has no float, since cutting never reads one.
    const field = new Uint8Array(5);
    field[0] = 0x15;
    new DataView(field.buffer).setFloat32(1, value.float, true);
    return { name, graphs: [], ints: [], rest: [field, typeField(FLOAT_TYPE)] };
  }
  return { name, graphs: [], ints: value.map(BigInt), rest: [typeField(INTS_TYPE)] };
}

type Typed = Float32Array | Int8Array | Uint8Array | BigInt64Array | Int32Array;

function dtypeOfArray(values: Typed): DType {
  if (values instanceof Float32Array) return 'float32';
  if (values instanceof Int8Array) return 'int8';
  if (values instanceof Uint8Array) return 'uint8';
  return values instanceof Int32Array ? 'int32' : 'int64';
}

export function graphValue(name: string, dtype: DType, dims: readonly OnnxDim[]): OnnxValue {
  return { name, elemType: dataTypeOf(dtype), dims };
}

export class GraphParts {
  readonly nodes: OnnxNode[] = [];
  readonly initializers = new Map<string, OnnxTensor>();

  /** Adds a node and returns the name of its first output. Empty names are absent inputs or outputs. */
  add(
    opType: string,
    inputs: readonly string[],
    outputs: string | readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    domain = '',
  ): string {
    const names = typeof outputs === 'string' ? [outputs] : outputs;
    const [first = ''] = names;
    this.nodes.push({
      name: first,
      opType,
      domain,
      inputs,
      outputs: names,
      attributes: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      rest: [],
    });
    return first;
  }

  /** Adds a weight; one that is there under that name stays. Returns the name. */
  constant(name: string, dims: readonly number[], values: () => Typed): string {
    if (!this.initializers.has(name)) {
      const made = values();
      const data = new Uint8Array(made.buffer, made.byteOffset, made.byteLength);
      const dataType = dataTypeOf(dtypeOfArray(made));
      this.initializers.set(name, { name, dataType, dims, data, rest: [] });
    }
    return name;
  }
}
