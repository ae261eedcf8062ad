/** Fields that messages of both directions have. */
import { badFrame, countField, type JsonObject, listField } from './json.ts';
import { MAX_TOKEN_ID } from './limits.ts';

/** The protocol's ids are texts; ours are counts. `-1` is the connection itself, where `orConnection`. */
export function idOf(header: JsonObject, orConnection = false): number {
  const { id } = header;
  if (orConnection && id === '-1') return -1;
  // 16 digits hold every safe integer; the round trip refuses leading zeros and what is beyond them.
  const number = typeof id === 'string' && /^\d{1,16}$/.test(id) ? Number(id) : -1;
  if (String(number) !== id || !Number.isSafeInteger(number) || number < 0) {
    throw badFrame('the id of a message is not a count');
  }
  return number;
}

/** `{[key]: tokens}`, or nothing where there are none: most requests have no prefix. */
export function tokenList(key: string, tokens: readonly number[]): JsonObject {
  return tokens.length === 0 ? {} : { [key]: tokens };
}

/** Token ids of at most `limit`; absent means none. */
/** `{words: true}`, or nothing. Throws `bad-frame`. */
export function wantedWords(value: unknown): { readonly words?: true } {
  if (value === undefined) return {};
  if (value !== true) throw badFrame('words are wanted, or nothing is said of them');
  return { words: value };
}

export function tokensOf(value: unknown, what: string, limit: number): readonly number[] {
  return listField(value, what, limit).map((token) => countField(token, 'token id', MAX_TOKEN_ID));
}

/** A count under its own name, where it was told. */
export function optionalCount<Name extends string>(
  value: JsonObject[string] | undefined,
  name: Name,
  most: number,
): { readonly [key in Name]?: number } {
  // One key of the type, or none: the compiler does not see that a computed key is the name.
  return (value === undefined ? {} : { [name]: countField(value, name, most) }) as {
    readonly [key in Name]?: number;
  };
}
