/** Command-line flags: `util.parseArgs` with messages that say what to type, and checked numbers. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { IsthmusError } from '../errors.ts';

/** How a command line is wrong in itself; exits with 2 instead of 1, as shells and make expect. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

type FlagTypes = NonNullable<ParseArgsConfig['options']>;

type Parsed<T extends FlagTypes> = ReturnType<
  typeof parseArgs<{ options: T; allowPositionals: true; strict: true }>
>;

/** Throws `UsageError` for flags that are unknown or lack their value. */
export function parseFlags<const T extends FlagTypes>(args: readonly string[], options: T): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Node adds a paragraph on how to pass positionals that begin with a dash; nobody here needs it.
    throw new UsageError(message.replace(/\. To specify a positional.*$/s, ''));
  }
}

export interface NumberBounds {
  readonly min: number;
  readonly max: number;
  /** Default true. */
  readonly integer?: boolean;
}

/** Throws `bad-option` for text that is no number within the bounds. */
export function numberFlag(flag: string, text: string, bounds: NumberBounds): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const wanted = bounds.integer === false ? 'a number' : 'a whole number';
  const fits = bounds.integer === false ? Number.isFinite(value) : Number.isSafeInteger(value);
  if (!fits || value < bounds.min || value > bounds.max) {
    throw new IsthmusError(
      'bad-option',
      `--${flag} takes ${wanted} from ${bounds.min} to ${bounds.max}, not '${text}'`,
      {
        details: { flag, value: text, min: bounds.min, max: bounds.max },
      },
    );
  }
  return value;
}

export function optionalNumber(
  flag: string,
  text: string | undefined,
  bounds: NumberBounds,
): number | undefined {
  return text === undefined ? undefined : numberFlag(flag, text, bounds);
}

/** `1,2` or several times the flag; throws `bad-option` as `numberFlag` does. */
export function numberList(
  flag: string,
  texts: readonly string[] | undefined,
  bounds: NumberBounds,
): number[] | undefined {
  return texts?.flatMap((text) => text.split(',')).map((part) => numberFlag(flag, part, bounds));
}

/** The one positional argument of a command; throws `UsageError` for none or several. */
export function onePositional(positionals: readonly string[], what: string): string {
  const [first, ...others] = positionals;
  if (first === undefined) throw new UsageError(`${what} is missing`);
  if (others.length > 0) throw new UsageError(`one ${what} at a time, not ${positionals.length}`);
  return first;
}
