/** The table of tensors in a GGUF header, checked against the file's length and against itself. */
import { IsthmusError } from '../../errors.ts';
import { MAX_DIMENSIONS, MAX_NAME_BYTES, MAX_TENSORS } from './gguf-limits.ts';
import { type HeaderCursor, takeString } from './header-cursor.ts';
import { checkCount } from './read-metadata.ts';
import { isTensorType, storedBytes, TENSOR_TYPES, type TensorType, tensorTypeName } from './tensor-types.ts';

export interface GgufTensor {
  readonly name: string;
  readonly type: TensorType;
  /** Row-major, outermost first: a matrix is `[out, in]`. (The file has them the other way round.) */
  readonly dims: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** A row of the table as it stands in the file; `offset` counts from the data's start. */
export interface TensorEntry {
  readonly name: string;
  readonly dims: readonly number[];
  readonly typeCode: number;
  readonly offset: number;
}

/** The least that an entry takes: a name's length, rank, one dimension, type and offset. */
const LEAST_ENTRY_BYTES = 8 + 4 + 8 + 4 + 8;

/** Throws `bad-model`, `limit-exceeded`. */
export async function readTensorTable(cursor: HeaderCursor, count: number): Promise<TensorEntry[]> {
  checkCount('tensors', count, LEAST_ENTRY_BYTES, cursor, MAX_TENSORS);
  const entries: TensorEntry[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = await takeString(cursor, MAX_NAME_BYTES);
    await cursor.need(4);
    const rank = cursor.u32();
    if (rank < 1 || rank > MAX_DIMENSIONS) throw broken(name, `has ${rank} dimensions`);
    await cursor.need(rank * 8 + 12);
    const dims = Array.from({ length: rank }, () => cursor.size()).reverse();
    entries.push({ name, dims, typeCode: cursor.u32(), offset: cursor.size() });
  }
  return entries;
}

export interface DataSection {
  /** From the start of the file. */
  readonly start: number;
  readonly alignment: number;
  /** Bytes of the whole file. */
  readonly fileSize: number;
}

/**
 * Throws `unsupported-model` for types that cannot be read (before lengths are looked at, which depend on
 * them), `bad-model` for what does not fit in the file or lies over another tensor.
 */
export function placeTensors(
  entries: readonly TensorEntry[],
  data: DataSection,
): ReadonlyMap<string, GgufTensor> {
  refuseUnknownTypes(entries);
  const tensors = new Map<string, GgufTensor>();
  for (const entry of entries) {
    const { name } = entry;
    if (tensors.has(name)) throw broken(name, 'is there twice');
    tensors.set(name, place(entry, data));
  }
  const inOrder = [...tensors.values()].sort((a, b) => a.offset - b.offset);
  let end = data.start;
  for (const tensor of inOrder) {
    if (tensor.offset < end) throw broken(tensor.name, 'lies over another one');
    end = tensor.offset + tensor.bytes;
  }
  return tensors;
}

function refuseUnknownTypes(entries: readonly TensorEntry[]): void {
  const types = new Set(entries.map((entry) => tensorTypeName(entry.typeCode)));
  const unknown = [...types].filter((type) => !isTensorType(type));
  if (unknown.length === 0) return;
  const tensor = entries.find((entry) => !isTensorType(tensorTypeName(entry.typeCode)))?.name;
  throw new IsthmusError(
    'unsupported-model',
    `the GGUF has tensors of type ${unknown.slice(0, 8).join(', ')} (${tensor} among them); ` +
      `what can be read is ${Object.keys(TENSOR_TYPES).join(', ')}`,
    { details: { types: unknown.slice(0, 8), tensor } },
  );
}

function place({ name, dims, typeCode, offset }: TensorEntry, data: DataSection): GgufTensor {
  const type = tensorTypeName(typeCode);
  if (!isTensorType(type)) throw broken(name, `is of type ${type}`);
  const elements = dims.reduce((product, dim) => product * dim, 1);
  if (elements < 1 || !Number.isSafeInteger(elements)) {
    throw broken(name, `has the shape [${dims.join(', ')}]`);
  }
  const { elements: perBlock } = TENSOR_TYPES[type];
  if ((dims.at(-1) ?? 0) % perBlock !== 0) {
    throw broken(name, `has rows of ${dims.at(-1)} elements, which are no whole blocks of ${type}`);
  }
  if (offset % data.alignment !== 0) throw broken(name, `is not aligned to ${data.alignment} bytes`);
  const bytes = storedBytes(type, elements);
  if (data.start + offset + bytes > data.fileSize) {
    throw new IsthmusError('bad-model', `the GGUF is truncated: it ends before the tensor ${name} does`, {
      details: { tensor: name, end: data.start + offset + bytes, size: data.fileSize },
    });
  }
  return { name, type, dims, offset: data.start + offset, bytes };
}

function broken(name: string, what: string): IsthmusError {
  return new IsthmusError('bad-model', `the GGUF's tensor ${name} ${what}`, { details: { tensor: name } });
}
