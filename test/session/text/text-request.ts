/** A request of the engine's: greedy, ten tokens, nothing proposed; only what a test is about differs. */
import { GREEDY } from '../../../src/core/sampling.ts';
import { goalOf } from '../../../src/planner/objective.ts';
import type { TextRequest } from '../../../src/session/text/engine-types.ts';
import { NO_GUESSES } from '../../../src/session/text/guess-book.ts';

export const noProposals: TextRequest['proposals'] = {
  propose: () => [],
  learn: () => undefined,
  wanted: 'auto',
  note: () => undefined,
};

export function textRequest(more: Partial<TextRequest> = {}): TextRequest {
  return {
    tokens: [1, 2],
    sampling: GREEDY,
    endTokens: [],
    maxTokens: 10,
    plan: 'auto',
    goal: goalOf(),
    move: false,
    fallback: true,
    proposals: noProposals,
    trips: () => [NO_GUESSES],
    now: () => 0,
    pause: () => new Promise((resolve) => setTimeout(resolve)),
    onToken: () => false,
    onPeriod: () => undefined,
    ...more,
  };
}
