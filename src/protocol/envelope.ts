/** A JSON header and raw bytes, joined and split: what a frame and an HTTP body have in common. */
import { badFrame, checkLimit, type JsonObject, parseJsonObject } from './json.ts';
import { MAX_FRAME_BYTES, MAX_HEADER_BYTES } from './limits.ts';

/** Bytes of the header length in front of a frame. */
export const FRAME_PREFIX_BYTES = 4;

/**
 * Raw bytes start at a multiple of the widest element, so that tensors can be read in place. Spaces
 * behind a JSON text are still JSON.
 */
const RAW_ALIGNMENT = 8;
const SPACE = 0x20;

const encoder = new TextEncoder();

export interface Joined {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Length of the JSON text, padding included. */
  readonly headerBytes: number;
}

function jsonBytes(header: JsonObject): Uint8Array {
  try {
    return encoder.encode(JSON.stringify(header));
  } catch (cause) {
    throw badFrame('the header cannot be written as JSON', cause);
  }
}

/** Leaves `reserve` bytes free in front of a header of at most `limit` bytes. Throws `limit-exceeded`. */
export function joinBody(
  header: JsonObject,
  chunks: readonly Uint8Array[],
  reserve = 0,
  limit = MAX_HEADER_BYTES,
): Joined {
  const text = jsonBytes(header);
  const rawLength = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const padding = rawLength === 0 ? 0 : -(reserve + text.byteLength) & (RAW_ALIGNMENT - 1);
  const headerBytes = text.byteLength + padding;
  checkLimit('bytes of a header', headerBytes, limit);
  const total = reserve + headerBytes + rawLength;
  checkLimit('bytes of a message', total, MAX_FRAME_BYTES);
  const bytes = new Uint8Array(total);
  bytes.set(text, reserve);
  bytes.fill(SPACE, reserve + text.byteLength, reserve + headerBytes);
  let offset = reserve + headerBytes;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return { bytes, headerBytes };
}

/** Splits an untrusted body whose header is said to be `headerBytes` long; `raw` is a view of it. */
export function splitBody(body: Uint8Array, headerBytes: number): { header: JsonObject; raw: Uint8Array } {
  checkLimit('bytes of a message', body.byteLength, MAX_FRAME_BYTES);
  checkLimit('bytes of a header', headerBytes, MAX_HEADER_BYTES);
  if (headerBytes > body.byteLength) {
    throw badFrame(`a header of ${headerBytes} bytes does not fit ${body.byteLength} bytes`);
  }
  const header = parseJsonObject(body.subarray(0, headerBytes), 'the header');
  return { header, raw: body.subarray(headerBytes) };
}

/** One frame: u32le header length, header, raw bytes. Throws `limit-exceeded`. */
export function joinFrame(header: JsonObject, chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const { bytes, headerBytes } = joinBody(header, chunks, FRAME_PREFIX_BYTES);
  new DataView(bytes.buffer).setUint32(0, headerBytes, true);
  return bytes;
}

/** Throws `bad-frame` or `limit-exceeded`. */
export function splitFrame(frame: Uint8Array): { header: JsonObject; raw: Uint8Array } {
  checkLimit('bytes of a message', frame.byteLength, MAX_FRAME_BYTES);
  if (frame.byteLength < FRAME_PREFIX_BYTES)
    throw badFrame(`a frame of ${frame.byteLength} bytes has no header`);
  const headerBytes = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);
  return splitBody(frame.subarray(FRAME_PREFIX_BYTES), headerBytes);
}
