/** What of a text may be guessed and run along with the next token. Pure. */
import { MAX_DRAFTS } from '../core/draft/draft-length.ts';
import type { WantedDrafts } from '../core/draft/proposer.ts';
import { IsthmusError } from '../errors.ts';
import type { LoopStage, Manifest } from './manifest.ts';

/** State that each step replaces stands at one position alone: it cannot go back before a wrong guess. */
export function isReplacedByStep({ origin, growth }: LoopStage['states'][number]): boolean {
  return origin === 'step' && growth === 'replace';
}

/**
 * Guesses to make where so many are asked for. None where state cannot go back before a wrong one. By itself only where a row
 * is the same bits in any company: elsewhere whoever asks for a number gets the text that rounding makes of it.
 * Throws `bad-option`.
 */
export function wantedDrafts({ text, stages }: Manifest, asked: WantedDrafts): WantedDrafts {
  if (asked !== 'auto' && !(Number.isSafeInteger(asked) && asked >= 0)) {
    throw new IsthmusError('bad-option', `draft is 'auto' or a number of tokens from 0 on, not ${asked}`);
  }
  const states = stages.flatMap((stage) => (stage.kind === 'loop' ? stage.states : []));
  if (states.some(isReplacedByStep)) return 0;
  if (asked === 'auto') return text?.exactRows === true ? 'auto' : 0;
  return Math.min(asked, MAX_DRAFTS);
}
