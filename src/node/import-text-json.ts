/** Reading parsed JSON from strangers: what is not there, or of another type, is `undefined`. Pure. */

/** Own fields only: inherited names such as `constructor` do not count. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

export function entries(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A whole number from 0 on. */
export function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** One or a list of them; a list with anything else in it counts as none. */
export function counts(value: unknown): number[] | undefined {
  const all = (Array.isArray(value) ? value : [value]).map(count);
  const known = all.filter((item) => item !== undefined);
  return known.length > 0 && known.length === all.length ? known : undefined;
}
