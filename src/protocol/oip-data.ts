/**
 * Tensors as JSON: datatype names of the Open Inference Protocol (KServe v2) and its `data` arrays,
 * which clients without the binary tensor extension send and want back.
 */
import type { DType, Tensor } from '../core/tensor.ts';
import { elementCount, MAX_RANK, makeTensor } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';

const DATATYPES = {
  float32: 'FP32',
  float16: 'FP16',
  float64: 'FP64',
  int8: 'INT8',
  uint8: 'UINT8',
  int16: 'INT16',
  uint16: 'UINT16',
  int32: 'INT32',
  uint32: 'UINT32',
  int64: 'INT64',
  uint64: 'UINT64',
  bool: 'BOOL',
} as const satisfies Record<DType, string>;

export type Datatype = (typeof DATATYPES)[DType];

const DTYPES: ReadonlyMap<unknown, DType> = new Map(
  (Object.keys(DATATYPES) as DType[]).map((dtype) => [DATATYPES[dtype], dtype]),
);

export function datatypeOf(dtype: DType): Datatype {
  return DATATYPES[dtype];
}

/** Throws `bad-tensor` for names that are unknown, and for `BYTES`: no graph that runs here has strings. */
export function dtypeOf(datatype: unknown): DType {
  const dtype = DTYPES.get(datatype);
  if (dtype !== undefined) return dtype;
  throw new IsthmusError(
    'bad-tensor',
    datatype === 'BYTES'
      ? 'tensors of datatype BYTES are not supported'
      : 'the datatype of a tensor is unknown',
  );
}

type Elements =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>;

/** Dtypes whose elements are JSON numbers as they are; the others are treated apart. */
const NUMBER_ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
} as const;

function isNumberDType(dtype: DType): dtype is keyof typeof NUMBER_ARRAYS {
  return Object.hasOwn(NUMBER_ARRAYS, dtype);
}

/**
 * A tensor from its `data`: row-major, flat or nested in any way. Throws `bad-tensor` when the number
 * of values is not what `dims` says, when one does not fit the dtype, and for FP16, which the protocol
 * gives no JSON form.
 */
export function tensorFromData(dtype: DType, dims: readonly number[], data: unknown): Tensor {
  if (!Array.isArray(data)) throw new IsthmusError('bad-tensor', 'the data of a tensor is not an array');
  const values: unknown[] = [];
  flatten(data, 0, values);
  const expected = elementCount(dims);
  if (values.length !== expected) {
    throw new IsthmusError(
      'bad-tensor',
      `[${dims.join(', ')}] takes ${expected} values, not ${values.length}`,
    );
  }
  const elements = elementsOf(dtype, values);
  return makeTensor(dtype, dims, new Uint8Array(elements.buffer));
}

function flatten(data: readonly unknown[], depth: number, into: unknown[]): void {
  if (depth > MAX_RANK) throw new IsthmusError('bad-tensor', `data is nested deeper than ${MAX_RANK} levels`);
  for (const value of data) {
    if (Array.isArray(value)) flatten(value, depth + 1, into);
    else into.push(value);
  }
}

function elementsOf(dtype: DType, values: readonly unknown[]): Elements | BigInt64Array | BigUint64Array {
  if (dtype === 'bool') return Uint8Array.from(values, (value) => Number(booleanOf(value)));
  if (dtype === 'int64' || dtype === 'uint64') {
    const wide = values.map((value) => BigInt(wholeOf(dtype, value)));
    return dtype === 'int64' ? BigInt64Array.from(wide) : BigUint64Array.from(wide);
  }
  if (!isNumberDType(dtype))
    throw new IsthmusError('bad-tensor', `${dtype} has no form in JSON; send it as binary`);
  const elements = new NUMBER_ARRAYS[dtype](values.length);
  values.forEach((value, i) => {
    if (typeof value !== 'number') throw misfit(dtype);
    elements[i] = value;
    const float = dtype === 'float32' || dtype === 'float64';
    if (float ? !Number.isFinite(elements[i]) : elements[i] !== value) throw misfit(dtype);
  });
  return elements;
}

function misfit(dtype: DType): IsthmusError {
  return new IsthmusError('bad-tensor', `a value of the data does not fit ${dtype}`);
}

function booleanOf(value: unknown): boolean {
  if (value === true || value === 1) return true;
  if (value === false || value === 0) return false;
  throw misfit('bool');
}

function wholeOf(dtype: DType, value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw misfit(dtype);
  if (dtype === 'uint64' && value < 0) throw misfit(dtype);
  return value;
}

/**
 * The flat `data` of a tensor. Throws `bad-tensor` for what JSON cannot say: FP16, a NaN or infinity,
 * an integer beyond 2^53. The client can ask for binary output instead.
 */
export function dataOfTensor(tensor: Tensor): (number | boolean)[] {
  const { dtype, bytes } = tensor;
  if (dtype === 'bool') return Array.from(bytes, (value) => value !== 0);
  // A copy is aligned, and JSON costs more than it anyway.
  const { buffer } = new Uint8Array(bytes);
  if (dtype === 'int64' || dtype === 'uint64') {
    const Wide = dtype === 'int64' ? BigInt64Array : BigUint64Array;
    const wide: Iterable<bigint> = new Wide(buffer);
    return Array.from(wide, (value) => speakable(Number(value), Number.isSafeInteger));
  }
  if (!isNumberDType(dtype)) throw unspeakable();
  const Narrow = NUMBER_ARRAYS[dtype];
  const narrow = new Narrow(buffer);
  return Array.from(narrow, (value) => speakable(value, Number.isFinite));
}

function speakable(value: number, test: (value: number) => boolean): number {
  if (!test(value)) throw unspeakable();
  return value;
}

function unspeakable(): IsthmusError {
  return new IsthmusError('bad-tensor', 'a tensor has values that JSON cannot say; ask for binary output');
}
