/** A GGUF's weights as float32, for the bench's own q8 export: only the forms that SmolLM2's file has. */
import { open } from 'node:fs/promises';
import { gguf } from '@huggingface/gguf';

/** Numbers of ggml's tensor types (ggml.h, `enum ggml_type`). */
const F32 = 0;
const Q4_1 = 3;
const Q8_0 = 8;

/** Elements per block of Q4_1 and Q8_0. */
const BLOCK = 32;

/** Bytes: a half as scale and 32 of int8; two halves as scale and least value, and 32 halves of a byte. */
const Q8_0_BYTES = 34;
const Q4_1_BYTES = 20;

/**
 * @typedef {object} Weights
 * @property {Readonly<Record<string, unknown>>} metadata
 * @property {(name: string) => Promise<Float32Array>} read row-major, `[rows, inner]`
 * @property {() => Promise<void>} close
 */

/** @returns {Promise<Weights>} */
export async function openWeights(path) {
  const { metadata, tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
  const byName = new Map(tensorInfos.map((info) => [info.name, info]));
  const file = await open(path);
  const read = async (name) => {
    const info = byName.get(name);
    if (info === undefined) throw new Error(`the GGUF has no tensor ${name}`);
    const count = Number(info.shape.reduce((product, extent) => product * extent, 1n));
    const bytes = Buffer.alloc(bytesOf(info.dtype, count));
    await file.read(bytes, 0, bytes.length, Number(tensorDataOffset + info.offset));
    return toFloats(info.dtype, bytes, count);
  };
  return { metadata, read, close: () => file.close() };
}

function bytesOf(type, count) {
  if (type === F32) return 4 * count;
  if (type === Q8_0) return (count / BLOCK) * Q8_0_BYTES;
  if (type === Q4_1) return (count / BLOCK) * Q4_1_BYTES;
  throw new Error(`the bench does not read tensors of ggml's type ${type}`);
}

function toFloats(type, bytes, count) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const result = new Float32Array(count);
  if (type === F32) {
    for (let index = 0; index < count; index += 1) result[index] = view.getFloat32(4 * index, true);
    return result;
  }
  const size = type === Q8_0 ? Q8_0_BYTES : Q4_1_BYTES;
  for (let block = 0; block < count / BLOCK; block += 1) {
    const at = block * size;
    const target = result.subarray(block * BLOCK, (block + 1) * BLOCK);
    const scale = half(view.getUint16(at, true));
    if (type === Q8_0) {
      for (let index = 0; index < BLOCK; index += 1) target[index] = scale * view.getInt8(at + 2 + index);
      continue;
    }
    const least = half(view.getUint16(at + 2, true));
    for (let index = 0; index < BLOCK / 2; index += 1) {
      const both = view.getUint8(at + 4 + index);
      target[index] = scale * (both & 15) + least;
      target[index + BLOCK / 2] = scale * (both >> 4) + least;
    }
  }
  return result;
}

/** IEEE 754 binary16; scales are finite. */
function half(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}
