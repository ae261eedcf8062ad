/**
 * GGUF files (specification: ggml/docs/gguf.md), versions 2 and 3, little-endian. The header is read and
 * checked whole; tensors are read on demand.
 *
 * The reader is our own. `@huggingface/gguf`, against which the tests hold it, cuts short without a
 * word a string that lies over the end of one of its 2 MB pieces, and drops a byte order mark at the
 * start of a token.
 */
import { IsthmusError } from '../../errors.ts';
import { type ByteSource, readExactly } from './byte-source.ts';
import { dequantiseRows } from './dequantise.ts';
import { MAX_ALIGNMENT, MAX_READ_ELEMENTS } from './gguf-limits.ts';
import { HeaderCursor } from './header-cursor.ts';
import { countOf, type Metadata } from './metadata.ts';
import { readMetadata } from './read-metadata.ts';
import { type GgufTensor, placeTensors, readTensorTable } from './read-tensors.ts';
import { storedBytes } from './tensor-types.ts';

export interface GgufHeader {
  readonly metadata: Metadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

export interface GgufFile extends GgufHeader {
  /** All elements as float32, row-major. Throws `bad-model` (no such tensor), `limit-exceeded`. */
  readTensor(name: string): Promise<Float32Array<ArrayBuffer>>;
  /** Rows `[from, to)` of the innermost dimension, as float32; for tensors too large to hold whole. */
  readRows(name: string, from: number, to: number): Promise<Float32Array<ArrayBuffer>>;
  /** As stored. */
  readBytes(name: string): Promise<Uint8Array>;
}

/** "GGUF" as a little-endian number. */
const MAGIC = 0x46554747;
const DEFAULT_ALIGNMENT = 32;

/**
 * Throws `bad-model` (foreign, truncated or inconsistent), `unsupported-model` (version, byte order, a part
 * of a split file, types of tensors), `limit-exceeded`; and what the source throws.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufFile> {
  const cursor = new HeaderCursor(source);
  await cursor.need(24);
  if (cursor.u32() !== MAGIC) throw new IsthmusError('bad-model', 'the file is not a GGUF');
  checkVersion(cursor.u32());
  const tensorCount = cursor.size();
  const metadata = await readMetadata(cursor, cursor.size());
  const parts = countOf(metadata, 'split.count') ?? 1;
  if (parts > 1) {
    throw new IsthmusError(
      'unsupported-model',
      `the GGUF is one of ${parts} parts; merge them first (llama-gguf-split --merge)`,
      { details: { parts } },
    );
  }
  const entries = await readTensorTable(cursor, tensorCount);
  const alignment = alignmentOf(metadata);
  const start = Math.ceil(cursor.offset / alignment) * alignment;
  const tensors = placeTensors(entries, { start, alignment, fileSize: source.size });
  return { metadata, tensors, ...tensorReaders(source, tensors) };
}

function checkVersion(version: number): void {
  if (version === 2 || version === 3) return;
  // Read in the wrong byte order a small number has its ones in the upper half.
  const foreign = (version & 0xffff) === 0 && version !== 0;
  const what = foreign ? 'a big-endian GGUF' : `GGUF version ${version}`;
  throw new IsthmusError('unsupported-model', `${what} cannot be read; versions 2 and 3 can, little-endian`, {
    details: { version },
  });
}

function alignmentOf(metadata: Metadata): number {
  const alignment = countOf(metadata, 'general.alignment') ?? DEFAULT_ALIGNMENT;
  if (alignment >= 1 && alignment <= MAX_ALIGNMENT && Number.isInteger(Math.log2(alignment)))
    return alignment;
  throw new IsthmusError('bad-model', `the GGUF's general.alignment is ${alignment}: no power of two`);
}

function tensorReaders(
  source: ByteSource,
  tensors: ReadonlyMap<string, GgufTensor>,
): Pick<GgufFile, 'readTensor' | 'readRows' | 'readBytes'> {
  const find = (name: string): GgufTensor => {
    const tensor = tensors.get(name);
    if (tensor) return tensor;
    throw new IsthmusError('bad-model', `the GGUF has no tensor ${name}`, { details: { tensor: name } });
  };
  const readRows = async (name: string, from: number, to: number) => {
    const { type, dims, offset } = find(name);
    const width = dims.at(-1) ?? 0;
    const rows = dims.slice(0, -1).reduce((product, dim) => product * dim, 1);
    if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= rows)) {
      throw new IsthmusError('bad-option', `the tensor ${name} has no rows [${from}, ${to})`, {
        details: { tensor: name, from, to, rows },
      });
    }
    const count = (to - from) * width;
    if (count > MAX_READ_ELEMENTS) {
      throw new IsthmusError('limit-exceeded', `${count} elements of ${name} are too many for one read`, {
        details: { tensor: name, count, bound: MAX_READ_ELEMENTS },
      });
    }
    const rowBytes = storedBytes(type, width);
    const bytes = await readExactly(source, offset + from * rowBytes, (to - from) * rowBytes);
    return dequantiseRows(type, bytes, count);
  };
  return {
    readRows,
    async readTensor(name) {
      const { dims } = find(name);
      return readRows(
        name,
        0,
        dims.slice(0, -1).reduce((product, dim) => product * dim, 1),
      );
    },
    async readBytes(name) {
      const { offset, bytes } = find(name);
      return readExactly(source, offset, bytes);
    },
  };
}
