/**
 * How a token is drawn from scores. The draw for a token depends only on these settings, the scores and
 * the token's position, never on where or in how many calls it is made: so a text is the same on the
 * device, on the endpoint, drafted or moved in the middle.
 */

export interface Sampling {
  /** Divides the scores; 0 takes the best one (greedy) and makes the rest irrelevant. */
  readonly temperature: number;
  /** Only this many best tokens may be drawn; 0 means all. */
  readonly topK: number;
  /** Only the smallest set of best tokens with at least this probability together; 1 means all. */
  readonly topP: number;
  /** Only tokens with at least this share of the best one's probability; 0 means all. */
  readonly minP: number;
  /** Divides positive and multiplies negative scores of tokens that the answer holds already; 1 means none. */
  readonly repetitionPenalty: number;
  /** Of the draws, a safe integer from 0 on. */
  readonly seed: number;
}

export const GREEDY: Sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 0,
};
