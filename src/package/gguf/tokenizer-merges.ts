/** The merges of byte-pair encodings: as the file lists them, or found again from SentencePiece's scores. */
import { IsthmusError } from '../../errors.ts';
import { type Metadata, numbersOf, required, stringsOf } from './metadata.ts';
import { TOKEN_KINDS, type Vocabulary } from './tokenizer-vocabulary.ts';

export type Merge = readonly [left: string, right: string];

/**
 * `tokenizer.ggml.merges`: two tokens with a space between them, best first. Throws `bad-model` for entries
 * that are none, and where a part or the result is no token: a text that needs it could not be written.
 */
export function listedMerges(metadata: Metadata, { ids }: Vocabulary): Merge[] {
  const listed = required(stringsOf(metadata, 'tokenizer.ggml.merges'), 'tokenizer.ggml.merges');
  return listed.map((entry, index) => {
    // The first character of a token may itself be a space.
    const space = entry.indexOf(' ', 1);
    const [left, right] = [entry.slice(0, space), entry.slice(space + 1)];
    if (space < 0 || !ids.has(left) || !ids.has(right) || !ids.has(left + right)) {
      throw new IsthmusError('bad-model', `merge ${index} of the GGUF does not join two tokens to a third`, {
        details: { index },
      });
    }
    return [left, right];
  });
}

/**
 * SentencePiece merges whichever neighbours make the token with the best score, the leftmost of equals. As a
 * list of merges: every way to cut a token into two others, by the token's score, then by the ids of the parts.
 * Published `tokenizer.json` files of such models have this order. In it the runs of spaces, all of one score
 * with shorter ones at lower ids, grow from the left as they do in SentencePiece.
 */
export function mergesFromScores(metadata: Metadata, { tokens, kinds, ids }: Vocabulary): Merge[] {
  const scores = required(numbersOf(metadata, 'tokenizer.ggml.scores'), 'tokenizer.ggml.scores');
  if (scores.length !== tokens.length) {
    throw new IsthmusError('bad-model', "the GGUF's tokens and their scores differ in number", {
      details: { tokens: tokens.length, scores: scores.length },
    });
  }
  const mergeable = (text: string): number | undefined => {
    const id = ids.get(text);
    return id !== undefined && kinds[id] === TOKEN_KINDS.normal ? id : undefined;
  };
  const found: { readonly merge: Merge; readonly order: readonly number[] }[] = [];
  for (const [id, token] of tokens.entries()) {
    if (kinds[id] !== TOKEN_KINDS.normal) continue;
    for (const left of properBeginnings(token)) {
      const right = token.slice(left.length);
      const [leftId, rightId] = [mergeable(left), mergeable(right)];
      if (leftId === undefined || rightId === undefined) continue;
      found.push({ merge: [left, right], order: [-(scores[id] ?? 0), leftId, rightId] });
    }
  }
  found.sort((a, b) => byOrder(a.order, b.order));
  return found.map(({ merge }) => merge);
}

/** Beginnings of a text at its characters' bounds, without the empty one and the whole. */
function properBeginnings(text: string): string[] {
  const beginnings: string[] = [];
  let beginning = '';
  for (const character of text) {
    if (beginning !== '') beginnings.push(beginning);
    beginning += character;
  }
  return beginnings;
}

function byOrder(a: readonly number[], b: readonly number[]): number {
  for (const [at, left] of a.entries()) {
    const difference = left - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
