/**
 * Reading fields of untrusted JSON. What has the wrong form throws `bad-frame`, what is well formed
 * but too large throws `limit-exceeded`. `what` names the field in the error, never its value.
 */
import { IsthmusError } from '../errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function badFrame(message: string, cause?: unknown): IsthmusError {
  return new IsthmusError('bad-frame', message, cause === undefined ? {} : { cause });
}

export function overLimit(what: string, got: number, limit: number): IsthmusError {
  return new IsthmusError('limit-exceeded', `${what}: ${got} exceeds the bound of ${limit}`, {
    details: { what, got, limit },
  });
}

/** Throws `limit-exceeded` when `got` is above `limit`. */
export function checkLimit(what: string, got: number, limit: number): void {
  if (got > limit) throw overLimit(what, got, limit);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** One JSON object in UTF-8. */
export function parseJsonObject(bytes: Uint8Array, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw badFrame(`${what} is not JSON in UTF-8`, cause);
  }
  return objectField(value, what);
}

export function objectField(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badFrame(`${what} is not an object`);
  }
  return value as JsonObject;
}

/** An object, or an empty one where the field is absent. */
export function optionalObject(value: unknown, what: string): JsonObject {
  return value === undefined ? {} : objectField(value, what);
}

/** An array of at most `limit` entries; an absent field is an empty one. */
export function listField(value: unknown, what: string, limit: number): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw badFrame(`${what} is not an array`);
  checkLimit(what, value.length, limit);
  return value;
}

/** At least one and at most `limit` UTF-16 units. */
export function textField(value: unknown, what: string, limit: number): string {
  if (typeof value !== 'string' || value === '') throw badFrame(`${what} is not a text`);
  checkLimit(what, value.length, limit);
  return value;
}

export function flagField(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw badFrame(`${what} is neither true nor false`);
  return value;
}

/** An integer of 0 to `limit`. */
export function countField(value: unknown, what: string, limit: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw badFrame(`${what} is not a count`);
  }
  checkLimit(what, value, limit);
  return value;
}

/** A finite number of at least 0. */
export function amountField(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw badFrame(`${what} is not an amount`);
  }
  return value;
}

/** A finite number of 0 to `limit`. */
export function amountUpTo(value: unknown, what: string, limit: number): number {
  const amount = amountField(value, what);
  checkLimit(what, amount, limit);
  return amount;
}

export function choiceField<T extends string>(value: unknown, what: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw badFrame(`${what} is none of ${choices.join(', ')}`);
  return found;
}
