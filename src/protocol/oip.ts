/**
 * Tensors in the envelope of the Open Inference Protocol v2 with its binary tensor extension: entries
 * of a JSON header, and raw little-endian bytes that follow it in the order of the entries.
 *
 * One parameter is ours: `codec`. Under it `datatype` and `shape` still say what the tensor is, and
 * `binary_data_size` counts the bytes as they are written (see `codec.ts`). Without it an entry is
 * plain OIP.
 *
 * @see https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
 */
import type { Codec } from '../core/span.ts';
import type { Tensor } from '../core/tensor.ts';
import { elementCount } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import { decodeTensor, encodeTensor, WIRE_CODECS, type WireCodec } from './codec.ts';
import { badFrame, checkLimit, type JsonObject, listField, objectField, optionalObject } from './json.ts';
import { MAX_NAME_LENGTH, MAX_TENSORS_PER_MESSAGE } from './limits.ts';
import { type Datatype, dataOfTensor, datatypeOf, dtypeOf, tensorFromData } from './oip-data.ts';

/** One element of `inputs` or `outputs`. */
export interface TensorEntry {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly parameters?: JsonObject;
  /** Instead of raw bytes. */
  readonly data?: readonly (number | boolean)[];
}

export interface OutgoingTensor {
  readonly name: string;
  readonly tensor: Tensor;
  /** Default `fp32`. Applied only where `lossy` is true. */
  readonly codec?: Codec;
  readonly lossy?: boolean;
  /** The reader is one of ours, which knows `pcm16`. Default false. */
  readonly isCompact?: boolean;
  /** Further parameters of the entry. */
  readonly parameters?: JsonObject;
  /** Write a JSON `data` array instead of raw bytes; excludes a codec. */
  readonly json?: boolean;
}

export interface IncomingTensor {
  readonly name: string;
  /** Decoded; under `fp32` its bytes are a view of what was read. */
  readonly tensor: Tensor;
  readonly parameters: JsonObject;
}

export interface WrittenTensors {
  readonly entries: readonly TensorEntry[];
  /** Raw bytes in the order of the entries; may be the tensors' own. */
  readonly chunks: readonly Uint8Array[];
}

/** Throws `bad-tensor` or `limit-exceeded` for what `readTensors` would refuse. */
export function writeTensors(tensors: readonly OutgoingTensor[]): WrittenTensors {
  checkLimit('tensors of a message', tensors.length, MAX_TENSORS_PER_MESSAGE);
  const chunks: Uint8Array[] = [];
  const entries = tensors.map((outgoing): TensorEntry => {
    const { tensor } = outgoing;
    const codec = outgoing.json === true ? 'fp32' : (outgoing.codec ?? 'fp32');
    const encoded = encodeTensor(tensor, codec, outgoing.lossy ?? false, outgoing.isCompact);
    checkBooleans(tensor);
    const entry = {
      name: checkedName(outgoing.name),
      datatype: datatypeOf(tensor.dtype),
      shape: tensor.dims,
    };
    if (outgoing.json === true) {
      const { parameters } = outgoing;
      return { ...entry, ...(parameters && { parameters }), data: dataOfTensor(tensor) };
    }
    chunks.push(encoded.bytes);
    const parameters: JsonObject = {
      ...outgoing.parameters,
      binary_data_size: encoded.bytes.byteLength,
      ...(encoded.codec === 'fp32' ? {} : { codec: encoded.codec }),
    };
    return { ...entry, parameters };
  });
  return { entries, chunks };
}

/**
 * Tensors from the untrusted `inputs` or `outputs` of a header and the bytes behind it, which must be
 * used up exactly. Throws `bad-frame` for a list that is malformed or does not fit the bytes,
 * `bad-tensor` for an entry that contradicts itself, `limit-exceeded` over a bound. Allocates no more
 * than four times the bytes given.
 */
export function readTensors(list: unknown, raw: Uint8Array): readonly IncomingTensor[] {
  const entries = listField(list, 'tensors of a message', MAX_TENSORS_PER_MESSAGE);
  let offset = 0;
  const tensors = entries.map((value): IncomingTensor => {
    const entry = objectField(value, 'a tensor');
    const name = checkedName(entry.name);
    const dtype = dtypeOf(entry.datatype);
    const dims = checkedShape(entry.shape);
    const parameters = optionalObject(entry.parameters, 'the parameters of a tensor');
    const size = parameters.binary_data_size;
    if (size === undefined) return { name, parameters, tensor: tensorFromData(dtype, dims, entry.data) };
    if (entry.data !== undefined)
      throw new IsthmusError('bad-tensor', 'a tensor is given twice: data and binary');
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
      throw new IsthmusError('bad-tensor', 'binary_data_size is not a count');
    }
    if (size > raw.byteLength - offset) {
      throw badFrame(`tensors claim more than the ${raw.byteLength} bytes that follow the header`);
    }
    const bytes = raw.subarray(offset, offset + size);
    offset += size;
    const tensor = decodeTensor(dtype, dims, checkedCodec(parameters.codec), bytes);
    checkBooleans(tensor);
    return { name, parameters, tensor };
  });
  if (offset !== raw.byteLength) {
    throw badFrame(`${raw.byteLength - offset} bytes after the header belong to no tensor`);
  }
  return tensors;
}

/** A tensor's name; `__proto__` is refused because names become keys of objects all over. */
function checkedName(value: unknown): string {
  if (typeof value !== 'string' || value === '' || value === '__proto__') {
    throw new IsthmusError('bad-tensor', 'the name of a tensor is missing or not allowed');
  }
  checkLimit('name of a tensor', value.length, MAX_NAME_LENGTH);
  return value;
}

function checkedShape(value: unknown): readonly number[] {
  if (!Array.isArray(value)) throw new IsthmusError('bad-tensor', 'the shape of a tensor is not an array');
  const dims = value as readonly number[];
  elementCount(dims);
  return dims;
}

function checkedCodec(value: unknown): WireCodec {
  if (value === undefined) return 'fp32';
  const codec = WIRE_CODECS.find((known) => known === value);
  if (codec === undefined) throw new IsthmusError('bad-tensor', 'the codec of a tensor is unknown');
  return codec;
}

/** A bool that is neither 0 nor 1 means different things to different kernels. */
function checkBooleans(tensor: Tensor): void {
  if (tensor.dtype === 'bool' && tensor.bytes.some((byte) => byte > 1)) {
    throw new IsthmusError('bad-tensor', 'a byte of a bool tensor is neither 0 nor 1');
  }
}
