/** Between Isthmus's tensors (bytes) and onnxruntime's (typed arrays). */
import type { Tensor as OrtTensor, TensorConstructor, TypedTensor } from 'onnxruntime-common';
import { alignedBytes, DTYPE_BYTES, isDType, makeTensor, type Tensor } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';

const ARRAYS = {
  float32: Float32Array,
  float16: Uint16Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

export function toOrt(tensor: Tensor, create: TensorConstructor): OrtTensor {
  const width = DTYPE_BYTES[tensor.dtype];
  const { buffer, byteOffset, byteLength } = alignedBytes(tensor.bytes, width);
  const data = new ARRAYS[tensor.dtype](buffer as ArrayBuffer, byteOffset, byteLength / width);
  // The constructor's overloads tie each type name to its array; the table above keeps that pairing.
  return new create(tensor.dtype as 'float32', data as unknown as Float32Array<ArrayBuffer>, tensor.dims);
}

/** @param name of the value, for the error; the bytes are a view of what the runtime returned */
export function fromOrt(name: string, tensor: OrtTensor): Tensor {
  if (!isDType(tensor.type)) {
    throw new IsthmusError('bad-tensor', `'${name}' has the type ${tensor.type}, which cannot be moved`);
  }
  const { data } = tensor as TypedTensor<'float32'>;
  return makeTensor(tensor.type, tensor.dims, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}
