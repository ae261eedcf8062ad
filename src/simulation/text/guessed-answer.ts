/**
 * How an answer is guessed along a route by the session's own draft lengths, which have to learn how easy its text is.
 * Chance left out: proposals come evenly spread, and as many of them are right as are on the mean.
 */
import { expectedTokens } from '../../core/draft/draft-cost.ts';
import { Proposer } from '../../core/draft/proposer.ts';
import { Evenly } from './evenly.ts';
import type { TextMoment } from './text-world.ts';

export interface GuessedAnswer {
  /** Passes or trips by the guesses that they had. */
  readonly passes: ReadonlyMap<number, number>;
  /** Tokens that they bring in all; a last pass may bring more than are asked for. */
  readonly tokens: number;
}

/**
 * @param tokens of the answer, at least 1
 * @param ms of a pass or trip with so many rows
 */
export function guessAnswer(
  { hits, acceptance }: Pick<TextMoment, 'hits' | 'acceptance'>,
  tokens: number,
  ms: (rows: number) => number,
): GuessedAnswer {
  let isHit = false;
  const proposer = new Proposer({
    expectedMs: ms,
    drafter: { propose: (_, most) => (isHit ? Array(most).fill(0) : []) },
  });
  proposer.begin('auto');
  const passes = new Map<number, number>();
  const evenly = new Evenly();
  let made = 0;
  let right = 0;
  while (made < tokens) {
    isHit = evenly.next(hits);
    const { length: drafted } = proposer.propose([], Math.max(0, Math.ceil(tokens - made) - 1));
    const brought = expectedTokens(Array(drafted).fill(acceptance), drafted);
    right += brought - 1;
    const accepted = Math.min(drafted, Math.floor(right));
    right -= accepted;
    proposer.learn({ drafted, accepted, ms: ms(1 + drafted) });
    passes.set(drafted, (passes.get(drafted) ?? 0) + 1);
    made += brought;
  }
  return { passes, tokens: made };
}
