/** Makes a lexicon of a tokenizer. */
import { type Lexicon, MAX_TOKEN_LENGTH } from '../core/lexicon.ts';
import { IsthmusError } from '../errors.ts';

/** @param vocabulary texts by their ids; it may have gaps */
export function packLexicon(
  vocabulary: readonly (string | undefined)[],
  isSilent: (token: number) => boolean,
  rest: Omit<Lexicon, 'units' | 'ends' | 'silent'>,
): Lexicon {
  const ends = new Uint32Array(vocabulary.length);
  let length = 0;
  // By index: a gap is none to an iterator's callback.
  for (let token = 0; token < ends.length; token += 1) {
    const text = vocabulary[token] ?? '';
    if (text.length > MAX_TOKEN_LENGTH) {
      throw new IsthmusError('bad-package', `token ${token} has over ${MAX_TOKEN_LENGTH} characters`);
    }
    length += text.length;
    ends[token] = length;
  }
  const units = new Uint16Array(length);
  const silent: number[] = [];
  let at = 0;
  for (let token = 0; token < ends.length; token += 1) {
    const text = vocabulary[token] ?? '';
    for (let index = 0; index < text.length; index += 1) units[at + index] = text.charCodeAt(index);
    at += text.length;
    if (isSilent(token)) silent.push(token);
  }
  return { units, ends, silent: Uint32Array.from(silent), ...rest };
}
