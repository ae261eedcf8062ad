/** A GGUF's metadata by key, and the values in it with their type checked. */
import { IsthmusError } from '../../errors.ts';

/** 64-bit integers that a number cannot hold exactly stay bigint. */
export type GgufValue = string | number | bigint | boolean | readonly GgufValue[];

export type Metadata = ReadonlyMap<string, GgufValue>;

function wrongType(key: string, expected: string): IsthmusError {
  return new IsthmusError('bad-model', `the GGUF's ${key} is not ${expected}`, { details: { key } });
}

/** The value, or undefined where the key is absent. Throws `bad-model` for another type. */
export function stringOf(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key);
  if (value === undefined || typeof value === 'string') return value;
  throw wrongType(key, 'a string');
}

export function booleanOf(metadata: Metadata, key: string): boolean | undefined {
  const value = metadata.get(key);
  if (value === undefined || typeof value === 'boolean') return value;
  throw wrongType(key, 'a boolean');
}

/** Finite. */
export function numberOf(metadata: Metadata, key: string): number | undefined {
  const value = metadata.get(key);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw wrongType(key, 'a finite number');
}

/** A whole number of at least zero. */
export function countOf(metadata: Metadata, key: string): number | undefined {
  const value = numberOf(metadata, key);
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return value;
  throw wrongType(key, 'a whole number of at least zero');
}

export function stringsOf(metadata: Metadata, key: string): readonly string[] | undefined {
  return arrayOf(metadata, key, 'strings', (value) => typeof value === 'string');
}

export function numbersOf(metadata: Metadata, key: string): readonly number[] | undefined {
  return arrayOf(metadata, key, 'numbers', (value) => typeof value === 'number');
}

function arrayOf<T extends GgufValue>(
  metadata: Metadata,
  key: string,
  what: string,
  isOne: (value: GgufValue) => value is GgufValue & T,
): readonly T[] | undefined {
  const value = metadata.get(key);
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every(isOne)) return value;
  throw wrongType(key, `an array of ${what}`);
}

/** The value of a key that the model cannot be read without. Throws `bad-model` when it is absent. */
export function required<T>(value: T | undefined, key: string): T {
  if (value !== undefined) return value;
  throw new IsthmusError('bad-model', `the GGUF has no ${key}`, { details: { key } });
}
