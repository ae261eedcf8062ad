/** How many bytes cross: the manifest's float32 sizes, as each codec writes them, with the envelope. */
import type { Codec } from '../core/span.ts';
import { DTYPE_BYTES } from '../core/tensor.ts';
import type { Crossing, CrossingTensor } from '../package/manifest.ts';

/** Length prefix, JSON header, WebSocket frame and the TCP/IP headers of a short message. */
export const FRAME_OVERHEAD_BYTES = 300;

/** Name, shape, dtype and byte length of one tensor in the JSON header. */
export const TENSOR_HEADER_BYTES = 120;

/** `int8` writes one float32 scale per row beside the row's bytes. */
const SCALE_BYTES = 4;

/** For rows of unknown length: a scale for every 64 values, which is shorter than rows in use. */
const UNKNOWN_ROW_RATIO = 1 / 4 + 1 / 64;

/** Encoded bytes per byte of the tensor as the graph holds it. 1 for what no codec touches. */
export function codecRatio(tensor: CrossingTensor, codec: Codec): number {
  const floating = tensor.dtype === 'float32' || tensor.dtype === 'float16';
  if (!tensor.lossy || !floating || codec === 'fp32') return 1;
  const perToFloat32 = 4 / DTYPE_BYTES[tensor.dtype];
  if (codec === 'fp16') return perToFloat32 / 2;
  // A scalar is a row of one.
  const row = tensor.dims.length === 0 ? 1 : tensor.dims.at(-1);
  const ratio = typeof row === 'number' && row > 0 ? (row + SCALE_BYTES) / (4 * row) : UNKNOWN_ROW_RATIO;
  return perToFloat32 * ratio;
}

/**
 * Bytes of one message that carries `crossing` at `extent`, envelope included.
 * @param ratio written for each byte besides
 */
export function crossingBytes(crossing: Crossing, extent: number, codec: Codec, ratio = 1): number {
  return messageBytes(
    crossing.sent.map((tensor) => {
      const raw = Math.max(0, tensor.bytes.base + tensor.bytes.perUnit * extent);
      return ratio * raw * codecRatio(tensor, codec);
    }),
  );
}

/** Bytes of one message with tensors of these sizes. */
export function messageBytes(tensors: readonly number[]): number {
  return tensors.reduce((sum, bytes) => sum + bytes + TENSOR_HEADER_BYTES, FRAME_OVERHEAD_BYTES);
}

/**
 * True for tensors that are rows of features, which `int8` scales one by one. A raw recording is a single
 * row as long as itself: one scale for all of it would drown what is quiet.
 */
export function hasFeatureRows(tensor: CrossingTensor): boolean {
  return tensor.dims.length >= 3 || typeof tensor.dims.at(-1) === 'number';
}

/** True when a codec has something to shorten. */
export function hasLossy(crossing: Crossing | undefined): boolean {
  return crossing?.sent.some((tensor) => codecRatio(tensor, 'int8') !== 1) ?? false;
}
