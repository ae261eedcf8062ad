/**
 * Reads a parsed JSON document field by field and remembers where it is, so that a refusal names the
 * exact place. Written by hand because it ships to browsers, where a schema library costs more bytes
 * than all the checks of a manifest.
 */
import { IsthmusError } from '../errors.ts';

export class JsonReader {
  readonly value: unknown;
  /** JSON path from the root `$`, e.g. `$.stages[0].name`. */
  readonly path: string;

  constructor(value: unknown, path = '$') {
    this.value = value;
    this.path = path;
  }

  /** Throws `bad-package` that names this place. */
  fail(why: string): never {
    throw new IsthmusError('bad-package', `${this.path} ${why}`, { details: { path: this.path } });
  }

  /** Throws `limit-exceeded` that names this place and the bound. */
  exceed(what: string, got: number, bound: number): never {
    throw new IsthmusError(
      'limit-exceeded',
      `${this.path} has ${got} ${what}; the bound is ${bound}: nothing that this library imports comes near it`,
      { details: { path: this.path, got, bound } },
    );
  }

  #object(): Readonly<Record<string, unknown>> {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.fail('is not an object');
    return value as Readonly<Record<string, unknown>>;
  }

  /** A field that must be there; inherited names such as `constructor` do not count. */
  field(name: string): JsonReader {
    return this.optional(name) ?? this.fail(`has no "${name}"`);
  }

  optional(name: string): JsonReader | undefined {
    const object = this.#object();
    if (!Object.hasOwn(object, name) || object[name] === undefined) return undefined;
    return new JsonReader(object[name], `${this.path}.${name}`);
  }

  entries(what: string, bound: number): readonly (readonly [string, JsonReader])[] {
    const entries = Object.entries(this.#object());
    if (entries.length > bound) this.exceed(what, entries.length, bound);
    return entries.map(([name, value]) => [
      name,
      new JsonReader(value, `${this.path}[${JSON.stringify(name)}]`),
    ]);
  }

  items(what: string, bound: number): readonly JsonReader[] {
    const { value } = this;
    if (!Array.isArray(value)) return this.fail('is not a list');
    if (value.length > bound) this.exceed(what, value.length, bound);
    return Array.from(value, (item: unknown, index) => new JsonReader(item, `${this.path}[${index}]`));
  }

  string(bound: number): string {
    const { value } = this;
    if (typeof value !== 'string') return this.fail('is not a string');
    if (value.length > bound) this.exceed('characters', value.length, bound);
    return value;
  }

  /** A string that is not empty. */
  name(bound: number): string {
    const text = this.string(bound);
    return text === '' ? this.fail('is empty') : text;
  }

  /** A whole number in `[least, most]`. */
  integer(least: number, most: number = Number.MAX_SAFE_INTEGER): number {
    const { value } = this;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      return this.fail(`is not a whole number from ${least} to ${most}`);
    }
    return value;
  }

  finite(): number {
    const { value } = this;
    if (typeof value !== 'number' || !Number.isFinite(value)) return this.fail('is not a finite number');
    return value;
  }

  boolean(): boolean {
    const { value } = this;
    return typeof value === 'boolean' ? value : this.fail('is neither true nor false');
  }

  oneOf<T extends string>(names: readonly T[]): T {
    const found = names.find((name) => name === this.value);
    return found ?? this.fail(`is none of ${names.join(', ')}`);
  }
}
