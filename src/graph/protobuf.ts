/** Walking protobuf messages field by field, keeping what is not understood. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** A field that the caller did not take is kept raw; `false` says so. */
type FieldHandler = (field: number, wire: WireType, reader: BinaryReader) => boolean;

/** Walks one message's fields, returning those that `handle` left alone, tags included. */
export function readFields(bytes: Uint8Array, handle: FieldHandler): Uint8Array[] {
  const reader = new BinaryReader(bytes);
  const rest: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wire] = reader.tag();
    if (handle(field, wire, reader)) continue;
    reader.skip(wire, field);
    rest.push(bytes.subarray(start, reader.pos));
  }
  return rest;
}

/** Reads a repeated varint field in its packed or its plain form. */
export function readVarints(wire: WireType, reader: BinaryReader, into: bigint[]): void {
  if (wire !== WireType.LengthDelimited) {
    into.push(BigInt(reader.int64()));
    return;
  }
  const packed = new BinaryReader(reader.bytes());
  while (packed.pos < packed.len) into.push(BigInt(packed.int64()));
}
