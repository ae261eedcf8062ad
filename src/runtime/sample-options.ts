/** What a caller may ask of sampling, checked. */
import type { Sampling } from '../core/sampling.ts';
import { IsthmusError } from '../errors.ts';

interface Rule {
  readonly holds: (value: number) => boolean;
  readonly says: string;
}

const RULES: Readonly<Record<keyof Sampling, Rule>> = {
  temperature: { holds: (value) => Number.isFinite(value) && value >= 0, says: '0 or a positive number' },
  topK: { holds: (value) => Number.isSafeInteger(value) && value >= 0, says: '0 or a positive integer' },
  topP: { holds: (value) => value > 0 && value <= 1, says: 'above 0 and at most 1' },
  minP: { holds: (value) => value >= 0 && value <= 1, says: 'from 0 to 1' },
  repetitionPenalty: { holds: (value) => Number.isFinite(value) && value > 0, says: 'a positive number' },
  seed: { holds: (value) => Number.isSafeInteger(value) && value >= 0, says: 'a safe integer from 0 on' },
};

const NAMES = Object.keys(RULES) as (keyof Sampling)[];

/**
 * `partial` completed from `defaults`; an option that is `undefined` counts as absent, and others than those
 * of `Sampling` are not looked at. Throws `bad-option` with the option's name in `details.option`.
 */
export function checkSampling(
  partial: { readonly [name in keyof Sampling]?: Sampling[name] | undefined },
  defaults: Sampling,
): Sampling {
  const whole = Object.fromEntries(NAMES.map((name) => [name, partial[name] ?? defaults[name]]));
  for (const name of NAMES) {
    const value: unknown = whole[name];
    if (typeof value === 'number' && RULES[name].holds(value)) continue;
    throw new IsthmusError('bad-option', `${name} must be ${RULES[name].says}`, {
      details: { option: name, value: String(value) },
    });
  }
  return whole as unknown as Sampling;
}
