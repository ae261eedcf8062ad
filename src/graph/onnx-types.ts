/**
 * The parts of an ONNX model that partitioning reads or changes. Fields that it has no use for
 * (doc strings, metadata, annotations of newer versions) are kept as raw protobuf and written back.
 * Field numbers follow onnx.proto3 of ONNX 1.19 (IR version 12).
 */
import type { DType } from '../core/tensor.ts';

/** Encoded protobuf fields, tags included, kept as they came. */
export type RawFields = readonly Uint8Array[];

export interface OnnxModel {
  readonly irVersion: number;
  readonly opsets: readonly { readonly domain: string; readonly version: number }[];
  readonly graph: OnnxGraph;
  readonly rest: RawFields;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** True when weights are stored sparsely, which nothing here can place. */
  readonly hasSparse: boolean;
}

export interface OnnxNode {
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly OnnxAttribute[];
  readonly rest: RawFields;
}

export interface OnnxAttribute {
  readonly name: string;
  readonly tensor?: OnnxTensor;
  /** Sub-graphs (`If`, `Loop`, `Scan`); most attributes have none. */
  readonly graphs: readonly { readonly field: number; readonly graph: OnnxGraph }[];
  readonly int?: bigint;
  readonly ints: readonly bigint[];
  readonly rest: RawFields;
}

export interface ExternalData {
  readonly location: string;
  readonly offset: number;
  /** Absent: to the end of the file. */
  readonly length?: number;
}

export interface OnnxTensor {
  readonly name: string;
  /** ONNX TensorProto.DataType. */
  readonly dataType: number;
  readonly dims: readonly number[];
  /** Little-endian elements; typed fields of the file are brought into this form. */
  readonly data?: Uint8Array;
  readonly external?: ExternalData;
  /** String tensors and anything else that cannot be brought into bytes. */
  readonly rest: RawFields;
}

export type OnnxDim = number | string | null;

export interface OnnxValue {
  readonly name: string;
  /** TensorProto.DataType, 0 where the value is no tensor or has no type. */
  readonly elemType: number;
  /** `undefined`: unknown rank. Strings are symbolic extents. */
  readonly dims?: readonly OnnxDim[];
  /** The value's type as it came; absent for values made here. */
  readonly rawType?: Uint8Array;
}

/** TensorProto.DataType numbers and the dtypes that Isthmus can move between places. */
const DATA_TYPES: readonly (readonly [number, DType])[] = [
  [1, 'float32'],
  [2, 'uint8'],
  [3, 'int8'],
  [4, 'uint16'],
  [5, 'int16'],
  [6, 'int32'],
  [7, 'int64'],
  [9, 'bool'],
  [10, 'float16'],
  [11, 'float64'],
  [12, 'uint32'],
  [13, 'uint64'],
];

const TO_DTYPE = new Map(DATA_TYPES);
const FROM_DTYPE = new Map(DATA_TYPES.map(([number, dtype]) => [dtype, number] as const));

export function dtypeOf(dataType: number): DType | undefined {
  return TO_DTYPE.get(dataType);
}

export function dataTypeOf(dtype: DType): number {
  // Every DType is in the table above; 0 is ONNX's UNDEFINED.
  return FROM_DTYPE.get(dtype) ?? 0;
}
