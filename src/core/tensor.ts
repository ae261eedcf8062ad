/**
 * Dense tensors: a dtype, a shape and exactly the bytes they call for (little-endian, row-major).
 * Bytes are the common form because the wire, shards and runtimes all speak bytes.
 */
import { IsthmusError } from '../errors.ts';

/** Bytes per element. Names are those of onnxruntime's JavaScript API. */
export const DTYPE_BYTES = {
  float32: 4,
  float16: 2,
  float64: 8,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
} as const;

export type DType = keyof typeof DTYPE_BYTES;

/** More axes than any model in use has; stops a header of a million axes. */
export const MAX_RANK = 16;

/** 1 GiB: above any activation or KV tensor that can cross a link in useful time. */
export const MAX_TENSOR_BYTES = 2 ** 30;

export interface Tensor {
  readonly dtype: DType;
  /** Non-negative safe integers; `[]` is a scalar. */
  readonly dims: readonly number[];
  /** Exactly `elements(dims) * DTYPE_BYTES[dtype]` bytes; any alignment. */
  readonly bytes: Uint8Array;
}

/** Tensors by their name in the graph. */
export type TensorMap = Readonly<Record<string, Tensor>>;

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(DTYPE_BYTES, value);
}

/** Number of elements; throws `bad-tensor` for shapes that are not legal. */
export function elementCount(dims: readonly number[]): number {
  if (dims.length > MAX_RANK) {
    throw new IsthmusError('bad-tensor', `a tensor of rank ${dims.length} exceeds the bound of ${MAX_RANK}`);
  }
  let count = 1;
  for (const dim of dims) {
    if (!Number.isSafeInteger(dim) || dim < 0) {
      // Read off a wire it may be anything, also an object that cannot be turned into text.
      const shown = typeof dim === 'number' ? String(dim) : `a ${typeof dim}`;
      throw new IsthmusError('bad-tensor', `${shown} is not a dimension`, { details: { dims } });
    }
    count *= dim;
  }
  if (!Number.isSafeInteger(count)) {
    throw new IsthmusError('bad-tensor', `shape [${dims.join(', ')}] is too large`);
  }
  return count;
}

export function byteLengthOf(dtype: DType, dims: readonly number[]): number {
  const bytes = elementCount(dims) * DTYPE_BYTES[dtype];
  if (bytes > MAX_TENSOR_BYTES) {
    throw new IsthmusError(
      'bad-tensor',
      `a tensor of ${bytes} bytes exceeds the bound of ${MAX_TENSOR_BYTES}`,
    );
  }
  return bytes;
}

/** Checked constructor: throws `bad-tensor` when bytes, shape and dtype disagree. */
export function makeTensor(dtype: DType, dims: readonly number[], bytes: Uint8Array): Tensor {
  const expected = byteLengthOf(dtype, dims);
  if (bytes.byteLength !== expected) {
    throw new IsthmusError(
      'bad-tensor',
      `${dtype}[${dims.join(', ')}] takes ${expected} bytes, not ${bytes.byteLength}`,
      { details: { dtype, dims, expected, got: bytes.byteLength } },
    );
  }
  return { dtype, dims, bytes };
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

export function float32Tensor(values: Float32Array, dims: readonly number[]): Tensor {
  return makeTensor('float32', dims, bytesOf(values));
}

export function int64Tensor(values: readonly (number | bigint)[], dims: readonly number[]): Tensor {
  return makeTensor('int64', dims, bytesOf(BigInt64Array.from(values, (value) => BigInt(value))));
}

/** A view where alignment allows, else a copy. Throws `bad-tensor` for another dtype. */
export function asFloat32(tensor: Tensor): Float32Array {
  if (tensor.dtype !== 'float32') {
    throw new IsthmusError('bad-tensor', `expected float32, got ${tensor.dtype}`);
  }
  const bytes = alignedBytes(tensor.bytes, 4);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** The bytes themselves when they start at a multiple of `alignment`, else a copy that does. */
export function alignedBytes(bytes: Uint8Array, alignment: number): Uint8Array {
  // Not `slice`: on Node's Buffer, which is what sockets deliver, that is a view and stays misaligned.
  return bytes.byteOffset % alignment === 0 ? bytes : new Uint8Array(bytes);
}

export function totalBytes(tensors: TensorMap): number {
  return Object.values(tensors).reduce((sum, tensor) => sum + tensor.bytes.byteLength, 0);
}
