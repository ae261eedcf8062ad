/** The part of a manifest that speaks of text: context, chat template, recommended sampling. */
import type { JsonReader } from './json-reader.ts';
import type { TextModel } from './manifest.ts';
import { MAX_NAME_LENGTH, MAX_SPECIAL_TOKENS, MAX_TEMPLATE_LENGTH } from './manifest-limits.ts';

const SAMPLING = ['temperature', 'topK', 'topP', 'minP', 'repetitionPenalty'] as const;

export function readText(reader: JsonReader): TextModel {
  const template = reader.optional('chatTemplate');
  const sampling = reader.optional('sampling');
  const isExact = reader.optional('exactRows')?.boolean() === true;
  return {
    contextLength: reader.field('contextLength').integer(1),
    ...(template && { chatTemplate: template.string(MAX_TEMPLATE_LENGTH) }),
    specialTokens: Object.fromEntries(
      reader
        .field('specialTokens')
        .entries('special tokens', MAX_SPECIAL_TOKENS)
        .map(([name, text]) => [name, text.string(MAX_NAME_LENGTH)]),
    ),
    ...(isExact && { exactRows: true as const }),
    addBos: reader.field('addBos').boolean(),
    ...(sampling && { sampling: readSampling(sampling) }),
  };
}

function readSampling(reader: JsonReader): NonNullable<TextModel['sampling']> {
  return Object.fromEntries(
    SAMPLING.flatMap((name) => {
      const value = reader.optional(name);
      if (value === undefined) return [];
      const number = value.finite();
      return number < 0 ? value.fail('is below 0') : [[name, number]];
    }),
  );
}
