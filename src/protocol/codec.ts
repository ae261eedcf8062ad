/**
 * How one crossing tensor is written. A codec is a wish: it touches only float32 tensors marked lossy,
 * and what cannot bear it is written as it is. The codec that was used travels with each tensor, so the
 * receiver needs to know nothing beforehand and always gets a float32 tensor of the same shape back.
 *
 * | codec  | bytes                                                              | error of a finite value x      |
 * |--------|--------------------------------------------------------------------|--------------------------------|
 * | `fp32` | the tensor's own bytes, of any dtype                               | none                           |
 * | `fp16` | n binary16, nearest even                                           | `max(2^-11 * abs(x), 2^-25)`   |
 * | `int8` | one float32 scale per row (rows in order), then n int8: `x = q * s` | half its row's scale, rounded   |
 * | `pcm16`| n int16: `x = q / 32768`                                           | none: only where each is one   |
 *
 * `pcm16` is nobody's wish: a recording in `fp32` is written so where its reader is one of ours and no bit is lost.
 *
 * A row is what shares all but the last index: one token's vector in `[batch, seq, hidden]`. Scales are
 * symmetric, `max(abs(row)) / 127`. Where float32 has no place left for a scale (values below 1e-36) the
 * error is up to the value itself.
 *
 * Written as `fp32` instead: a tensor with a NaN or infinity under `int8`, since one such value would
 * take its whole row with it; a tensor with a finite value that would overflow under `fp16`; rows of a
 * single value under `int8`, which would grow.
 */
import { fromPcm16, toPcm16 } from '../core/pcm16.ts';
import { CODECS, type Codec } from '../core/span.ts';
import type { DType, Tensor } from '../core/tensor.ts';
import { alignedBytes, asFloat32, byteLengthOf, elementCount, makeTensor } from '../core/tensor.ts';
import { IsthmusError } from '../errors.ts';
import { fromHalf, HALF_OVERFLOW, toHalf } from './half.ts';

/** As a tensor's entry names it. */
export type WireCodec = Codec | 'pcm16';

export const WIRE_CODECS: readonly WireCodec[] = [...CODECS, 'pcm16'];

/** Shorter ones are not worth being named in the entry. */
const LEAST_SAMPLES = 64;

export interface EncodedTensor {
  /** What was used, which may be `fp32` where another codec was asked for. */
  readonly codec: WireCodec;
  /** For `fp32` the tensor's own bytes, not a copy. */
  readonly bytes: Uint8Array;
}

const INT8_MAX = 127;
const SCALE_BYTES = 4;

/** Rows of the last axis; a tensor without elements has none, whatever its other extents say. */
function rowsOf(dims: readonly number[]): number {
  const count = elementCount(dims);
  return count === 0 ? 0 : count / (dims.at(-1) ?? 1);
}

/** Bytes of a float32 tensor of this shape under `codec`, taken literally. */
function codedBytes(dims: readonly number[], codec: Codec): number {
  const plain = byteLengthOf('float32', dims);
  if (codec === 'fp16') return plain / 2;
  if (codec === 'int8') return rowsOf(dims) * SCALE_BYTES + plain / 4;
  return plain;
}

/** The codec that dtype and shape allow, before the values are seen. */
export function applicableCodec(dtype: DType, dims: readonly number[], codec: Codec, lossy: boolean): Codec {
  if (!lossy || dtype !== 'float32') return 'fp32';
  return codedBytes(dims, codec) < byteLengthOf(dtype, dims) ? codec : 'fp32';
}

/**
 * Bytes of the tensor on the wire, without its header entry. Pure: for the planner, which has no
 * values; exact unless these force `fp32` (see above).
 */
export function encodedBytes(dtype: DType, dims: readonly number[], codec: Codec, lossy: boolean): number {
  return applicableCodec(dtype, dims, codec, lossy) === 'fp32'
    ? byteLengthOf(dtype, dims)
    : codedBytes(dims, codec);
}

/**
 * Throws `bad-tensor` when dtype, shape and bytes of `tensor` disagree.
 * @param isCompact the reader knows `pcm16`
 */
export function encodeTensor(tensor: Tensor, codec: Codec, lossy: boolean, isCompact = false): EncodedTensor {
  const { dtype, dims, bytes } = makeTensor(tensor.dtype, tensor.dims, tensor.bytes);
  const wanted = applicableCodec(dtype, dims, codec, lossy);
  if (wanted !== 'fp32') {
    const values = asFloat32(tensor);
    const coded = wanted === 'fp16' ? encodeHalf(values) : encodeInt8(values, rowsOf(dims));
    if (coded !== undefined) return { codec: wanted, bytes: coded };
  }
  const samples = isCompact && dtype === 'float32' ? samplesOf(asFloat32(tensor)) : undefined;
  return samples === undefined ? { codec: 'fp32', bytes } : { codec: 'pcm16', bytes: samples };
}

function samplesOf(values: Float32Array): Uint8Array | undefined {
  const samples = values.length < LEAST_SAMPLES ? undefined : toPcm16(values);
  return samples && new Uint8Array(samples.buffer);
}

/**
 * The tensor of declared dtype and shape from its bytes on the wire; a view of them under `fp32`.
 * Throws `bad-tensor` when they do not fit together or a scale is not a finite, non-negative number.
 */
export function decodeTensor(
  dtype: DType,
  dims: readonly number[],
  codec: WireCodec,
  bytes: Uint8Array,
): Tensor {
  if (codec === 'fp32') return makeTensor(dtype, dims, bytes);
  if (dtype !== 'float32') {
    throw new IsthmusError('bad-tensor', `codec ${codec} does not apply to ${dtype}`);
  }
  const expected = codec === 'pcm16' ? byteLengthOf('float32', dims) / 2 : codedBytes(dims, codec);
  if (bytes.byteLength !== expected) {
    throw new IsthmusError(
      'bad-tensor',
      `float32[${dims.join(', ')}] takes ${expected} bytes under ${codec}, not ${bytes.byteLength}`,
      { details: { codec, dims, expected, got: bytes.byteLength } },
    );
  }
  const values =
    codec === 'pcm16'
      ? decodeSamples(bytes)
      : codec === 'fp16'
        ? decodeHalf(bytes)
        : decodeInt8(bytes, elementCount(dims), rowsOf(dims));
  return makeTensor(dtype, dims, new Uint8Array(values.buffer));
}

function decodeSamples(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const aligned = alignedBytes(bytes, 2);
  return fromPcm16(new Int16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2));
}

function encodeHalf(values: Float32Array): Uint8Array | undefined {
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i] as number);
    if (magnitude >= HALF_OVERFLOW && magnitude !== Number.POSITIVE_INFINITY) return undefined;
  }
  return new Uint8Array(toHalf(values).buffer);
}

function decodeHalf(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const aligned = alignedBytes(bytes, 2);
  return fromHalf(new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2));
}

function encodeInt8(values: Float32Array, rows: number): Uint8Array | undefined {
  const width = values.length / rows;
  const bytes = new Uint8Array(rows * SCALE_BYTES + values.length);
  const scales = new Float32Array(bytes.buffer, 0, rows);
  const quantised = new Int8Array(bytes.buffer, rows * SCALE_BYTES);
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    const peak = largestMagnitude(values, start, start + width);
    if (!Number.isFinite(peak)) return undefined;
    const scale = scaleFor(peak);
    scales[row] = scale;
    if (scale === 0) continue;
    for (let i = start; i < start + width; i++) {
      const q = Math.round((values[i] as number) / scale);
      quantised[i] = Math.max(-INT8_MAX, Math.min(INT8_MAX, q));
    }
  }
  return bytes;
}

/** NaN when any value is. */
function largestMagnitude(values: Float32Array, from: number, to: number): number {
  let peak = 0;
  for (let i = from; i < to; i++) {
    const magnitude = Math.abs(values[i] as number);
    // Written so that a NaN fails the test and is kept.
    if (!(magnitude <= peak)) {
      if (Number.isNaN(magnitude)) return magnitude;
      peak = magnitude;
    }
  }
  return peak;
}

/** `peak / 127` as a float32; one place less where 127 of it would overflow. */
function scaleFor(peak: number): number {
  const scale = Math.fround(peak / INT8_MAX);
  return Number.isFinite(Math.fround(scale * INT8_MAX)) ? scale : Math.fround(scale * (1 - 2 ** -23));
}

function decodeInt8(bytes: Uint8Array, count: number, rows: number): Float32Array<ArrayBuffer> {
  const aligned = alignedBytes(bytes, SCALE_BYTES);
  const scales = new Float32Array(aligned.buffer, aligned.byteOffset, rows);
  const quantised = new Int8Array(aligned.buffer, aligned.byteOffset + rows * SCALE_BYTES, count);
  const values = new Float32Array(count);
  const width = count / rows;
  for (let row = 0; row < rows; row++) {
    const scale = scales[row] as number;
    if (!(scale >= 0 && Number.isFinite(scale))) {
      throw new IsthmusError('bad-tensor', `${scale} is not a scale`, { details: { row } });
    }
    for (let i = row * width; i < (row + 1) * width; i++) values[i] = (quantised[i] as number) * scale;
  }
  return values;
}
