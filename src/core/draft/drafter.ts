/** Guesses of the next tokens, made where the text is; whoever draws says how many of them are right. */

export interface Drafter {
  /**
   * At most `most` tokens that may follow `tokens` (prompt and answer so far), fewer or none where there is
   * no good guess. Called with the same text grown, or cut back and grown another way.
   */
  propose(tokens: readonly number[], most: number): readonly number[];
}
