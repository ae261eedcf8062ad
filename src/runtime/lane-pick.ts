/** From scores to tokens, with proposals to confirm; pure but for the drawing, which is an argument. */
import type { Sampling } from '../core/sampling.ts';
import type { Pick } from './lane.ts';

/** Draws a token; see `pickToken`. */
export type DrawToken = (
  scores: Float32Array,
  sampling: Sampling,
  /** Of the token that is drawn, from 0 at the text's beginning. */
  position: number,
  answer: readonly number[],
) => number;

/**
 * Tokens for the rows of `scores`, `[drafts + 1, vocabulary]`: row by row until a token differs from the
 * proposal behind it. Each is drawn as if the ones before it had been made one at a time.
 * @param position of the first token that is drawn
 * @returns one more than the accepted proposals
 */
export function pickTokens(
  scores: Float32Array,
  vocabulary: number,
  pick: Pick,
  position: number,
  draw: DrawToken,
): number[] {
  const tokens: number[] = [];
  for (let row = 0; row <= pick.drafts.length; row += 1) {
    const rowScores = scores.subarray(row * vocabulary, (row + 1) * vocabulary);
    const token = draw(rowScores, pick.sampling, position + row, [...pick.answer, ...tokens]);
    tokens.push(token);
    if (token !== pick.drafts[row]) break;
  }
  return tokens;
}
