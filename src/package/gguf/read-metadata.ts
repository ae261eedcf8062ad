/** The key-value part of a GGUF header (specification: ggml/docs/gguf.md, version 3). */
import { IsthmusError } from '../../errors.ts';
import { MAX_ARRAY_DEPTH, MAX_METADATA_ENTRIES, MAX_METADATA_VALUES, MAX_NAME_BYTES } from './gguf-limits.ts';
import { type HeaderCursor, takeString } from './header-cursor.ts';
import type { GgufValue, Metadata } from './metadata.ts';

interface Scalar {
  readonly bytes: number;
  readonly get: (view: DataView, at: number) => number | bigint | boolean;
}

const STRING = 8;
const ARRAY = 9;

const whole = (value: bigint): number | bigint =>
  BigInt.asIntN(54, value) === value ? Number(value) : value;

/** By the number that stands for the type. */
const SCALARS: ReadonlyMap<number, Scalar> = new Map<number, Scalar>([
  [0, { bytes: 1, get: (view, at) => view.getUint8(at) }],
  [1, { bytes: 1, get: (view, at) => view.getInt8(at) }],
  [2, { bytes: 2, get: (view, at) => view.getUint16(at, true) }],
  [3, { bytes: 2, get: (view, at) => view.getInt16(at, true) }],
  [4, { bytes: 4, get: (view, at) => view.getUint32(at, true) }],
  [5, { bytes: 4, get: (view, at) => view.getInt32(at, true) }],
  [6, { bytes: 4, get: (view, at) => view.getFloat32(at, true) }],
  [7, { bytes: 1, get: (view, at) => view.getUint8(at) !== 0 }],
  [10, { bytes: 8, get: (view, at) => whole(view.getBigUint64(at, true)) }],
  [11, { bytes: 8, get: (view, at) => whole(view.getBigInt64(at, true)) }],
  [12, { bytes: 8, get: (view, at) => view.getFloat64(at, true) }],
]);

/** The least that an entry takes: a key's length, a type, one byte of value. */
const LEAST_ENTRY_BYTES = 8 + 4 + 1;

/** Throws `bad-model`, `limit-exceeded`. */
export async function readMetadata(cursor: HeaderCursor, entries: number): Promise<Metadata> {
  checkCount('metadata entries', entries, LEAST_ENTRY_BYTES, cursor, MAX_METADATA_ENTRIES);
  const metadata = new Map<string, GgufValue>();
  const budget = { values: MAX_METADATA_VALUES };
  for (let entry = 0; entry < entries; entry += 1) {
    const key = await takeString(cursor, MAX_NAME_BYTES);
    await cursor.need(4);
    const value = await readValue(cursor, cursor.u32(), budget, 0);
    if (metadata.has(key)) {
      throw new IsthmusError('bad-model', `the GGUF has the key ${key} twice`, { details: { key } });
    }
    metadata.set(key, value);
  }
  return metadata;
}

async function readValue(
  cursor: HeaderCursor,
  type: number,
  budget: { values: number },
  depth: number,
): Promise<GgufValue> {
  if (type === STRING) return takeString(cursor);
  if (type === ARRAY) return readArray(cursor, budget, depth);
  const scalar = SCALARS.get(type);
  if (scalar === undefined) {
    throw new IsthmusError('bad-model', `the GGUF's metadata has a value of unknown type ${type}`);
  }
  await cursor.need(scalar.bytes);
  return cursor.take(scalar.bytes, scalar.get);
}

async function readArray(
  cursor: HeaderCursor,
  budget: { values: number },
  depth: number,
): Promise<GgufValue[]> {
  if (depth >= MAX_ARRAY_DEPTH) {
    throw new IsthmusError('limit-exceeded', `the GGUF nests arrays deeper than ${MAX_ARRAY_DEPTH}`);
  }
  await cursor.need(12);
  const type = cursor.u32();
  const count = cursor.size();
  const scalar = SCALARS.get(type);
  const least = scalar?.bytes ?? (type === ARRAY ? 12 : 8);
  checkCount('values in one array', count, least, cursor, budget.values);
  budget.values -= count;
  const values: GgufValue[] = [];
  for (let index = 0; index < count; index += 1) {
    if (scalar === undefined) {
      // Most values are the vocabulary's: an `await` for each would be most of the time.
      const text = type === STRING ? cursor.stringIfHere() : undefined;
      values.push(text ?? (await readValue(cursor, type, budget, depth + 1)));
    } else {
      if (!cursor.has(scalar.bytes)) await cursor.need(scalar.bytes);
      values.push(cursor.take(scalar.bytes, scalar.get));
    }
  }
  return values;
}

/** Nothing is read for a count that the rest of the file cannot hold, nor for one beyond the bound. */
export function checkCount(
  what: string,
  count: number,
  leastBytes: number,
  cursor: HeaderCursor,
  bound: number,
): void {
  if (count * leastBytes > cursor.left) {
    throw new IsthmusError('bad-model', `the GGUF is truncated or broken: it says ${count} ${what}`, {
      details: { count, left: cursor.left },
    });
  }
  if (count > bound) {
    throw new IsthmusError('limit-exceeded', `the GGUF has ${count} ${what}; the bound is ${bound}`, {
      details: { count, bound },
    });
  }
}
